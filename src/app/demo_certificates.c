/* SPDX-License-Identifier: MIT */
/* The demo's certificates: a row a category in `kinds`, and one small function
 * that draws its own columns. What all have in common is drawn once, here.
 *
 * certificate_data of a public row is shown to anybody: nothing goes in there
 * that its owner would not print on a poster. Sums of money are paise.
 */
#include "app/demo_run.h"

#include "app/categories.h"
#include "app/demo_batch.h"
#include "app/rupees.h"
#include "base/json.h"

enum { DATA_MAX_BYTES = 4096, PAISE = 100, PROGRESS_EVERY = 1024, OWN_COLUMNS_MAX = 7 };

/* The certificate that is being made. */
struct draft {
    struct demo_dice *dice;
    struct arena *arena;
    const struct demo_spa *spa;
    int64_t number; /* of its category, from 1     */
    wall_ms at;
    demo_day today;
    struct json *data;    /* open object: certificate_data */
    struct db_value *own; /* the category's own columns  */
};

/* ---- lists in columns ---- */

struct list {
    struct buf buf;
    struct json json;
};

static void open_list(struct list *l, struct arena *a)
{
    buf_init_arena(&l->buf, a, DATA_MAX_BYTES);
    json_init(&l->json, &l->buf);
    json_array(&l->json);
}

static struct db_value close_list(struct list *l)
{
    json_array_end(&l->json);
    return DBV_TEXT(buf_view(&l->buf));
}

/* ---- people and their work ---- */

static const struct demo_job *draw_job(struct demo_dice *d)
{
    return &demo_jobs[random_below(&d->random, demo_job_count)];
}

static struct db_value day(const struct draft *c, demo_day d) { return DBV_TEXT(day_text(c->arena, d)); }
static struct db_value name(const struct draft *c) { return DBV_TEXT(dice_full_name(c->dice, c->spa->place)); }

static void put_job(const struct draft *c, const struct demo_job *job)
{
    json_member_str(c->data, "department", str_of(job->department));
    json_member_str(c->data, "duties", str_of(job->duties));
    json_member_str(c->data, "branch", str_of(c->spa->name));
}

static void draw_therapist(const struct draft *c)
{
    static const char *const grades[] = { "A+", "A", "B+", "B" };
    const struct demo_course *course = &demo_courses[random_below(&c->dice->random, demo_course_count)];
    demo_day end = c->today - dice_between(c->dice, 1, 20);

    c->own[0] = name(c);
    c->own[1] = DBV_TEXT(str_of(course->title));
    c->own[2] = day(c, day_add_months(end, -course->months));
    c->own[3] = day(c, end);
    json_member_str(c->data, "grade", str_of(grades[dice_between(c->dice, 0, 3)]));
    json_member_str(c->data, "modules", str_of(course->modules));
    json_member_int(c->data, "months", course->months);
    json_member_str(c->data, "city", str_of(c->spa->place->city));
}

static void draw_salary(const struct draft *c)
{
    enum { MONTHS = 3 };
    const struct demo_job *job = &demo_jobs[random_below(&c->dice->random, DEMO_MANAGER_JOBS)];
    int64_t pay = dice_pay(c->dice, job);
    struct list months;

    c->own[0] = name(c);
    c->own[1] = DBV_TEXT(str_of(job->title));
    c->own[2] = day(c, c->today - dice_between(c->dice, 130, 2200));
    c->own[3] = DBV_INT(pay);
    open_list(&months, c->arena);
    for (int i = MONTHS; i > 0; i--) {
        json_object(&months.json);
        json_member_str(&months.json, "month", day_month_name(c->arena, c->today, i));
        json_member_int(&months.json, "amount", pay);
        json_object_end(&months.json);
    }
    c->own[4] = close_list(&months);
    put_job(c, job);
}

/* Who, as what, from when, for how much: an offer begins in some weeks, an
 * appointment in some days. */
static void draw_letter(const struct draft *c, int first_day, int last_day)
{
    const struct demo_job *job = draw_job(c->dice);

    c->own[0] = name(c);
    c->own[1] = DBV_TEXT(str_of(job->title));
    c->own[2] = day(c, c->today + dice_between(c->dice, first_day, last_day));
    c->own[3] = DBV_INT(dice_pay(c->dice, job));
    put_job(c, job);
}

static void draw_offer(const struct draft *c)
{
    draw_letter(c, 7, 45);
    json_member_int(c->data, "probation_months", dice_between(c->dice, 1, 2) * 3);
}

static void draw_appointment(const struct draft *c)
{
    draw_letter(c, 0, 10);
    json_member_int(c->data, "notice_days", dice_between(c->dice, 1, 2) * 15);
}

/* "2 years 1 month"; at least one month. */
static struct str duration(struct arena *a, int months)
{
    int years = months / 12, rest = months % 12;
    const char *year = years == 1 ? "year" : "years", *month = rest == 1 ? "month" : "months";

    if (years == 0)
        return arena_printf(a, "%d %s", rest, month);
    if (rest == 0)
        return arena_printf(a, "%d %s", years, year);
    return arena_printf(a, "%d %s %d %s", years, year, rest, month);
}

static void draw_experience(const struct draft *c)
{
    const struct demo_job *job = draw_job(c->dice);
    demo_day end = c->today - dice_between(c->dice, 0, 30);
    int months = dice_between(c->dice, 3, 72);

    c->own[0] = name(c);
    c->own[1] = DBV_TEXT(str_of(job->title));
    c->own[2] = day(c, day_add_months(end, -months));
    c->own[3] = day(c, end);
    c->own[4] = DBV_TEXT(duration(c->arena, months));
    c->own[5] = DBV_INT(dice_pay(c->dice, job));
    put_job(c, job);
    json_member_str(c->data, "conduct", dice_word(c->dice, &demo_conduct));
}

static void draw_card(const struct draft *c)
{
    c->own[0] = name(c);
    c->own[1] = DBV_TEXT(str_of(draw_job(c->dice)->title));
    c->own[2] = day(c, c->today - dice_between(c->dice, 3, 900));
    c->own[3] = DBV_TEXT(dice_phone(c->dice));
    c->own[4] = day(c, c->today);
    json_member_str(c->data, "employee_number",
                    arena_printf(c->arena, "%s-E%04d", c->spa->code, (int)(c->number % 10000)));
    json_member_str(c->data, "branch", str_of(c->spa->name));
}

/* ---- sales ---- */

static const struct demo_service *draw_service(struct demo_dice *d)
{
    return &demo_services[random_below(&d->random, demo_service_count)];
}

static struct str service_title(struct arena *a, const struct demo_service *s)
{
    return arena_printf(a, "%s (%d min)", s->title, s->minutes);
}

static void put_line(struct json *j, struct str what, int quantity, int64_t rate)
{
    json_object(j);
    json_member_str(j, "description", what);
    json_member_int(j, "quantity", quantity);
    json_member_int(j, "rate", rate);
    json_member_int(j, "amount", quantity * rate);
    json_object_end(j);
}

static struct str payment_mode(struct demo_dice *d)
{
    static const char *const modes[] = {
        "upi", "upi", "upi", "card", "card", "cash", "cash", "bank_transfer", "cheque"
    };
    return str_of(modes[random_below(&d->random, sizeof modes / sizeof *modes)]);
}

/* Services, then both halves of the tax (9 % each, to the paisa); the total is
 * the sum of the lines. */
static void draw_bill(const struct draft *c)
{
    enum { TAX_PERCENT = 9 };
    int64_t net = 0;
    struct list lines;

    open_list(&lines, c->arena);
    for (int left = dice_between(c->dice, 1, 4); left > 0; left--) {
        const struct demo_service *service = draw_service(c->dice);
        int quantity = dice_percent(c->dice, 85) ? 1 : 2;
        int64_t rate = (int64_t)service->price * PAISE;
        put_line(&lines.json, service_title(c->arena, service), quantity, rate);
        net += quantity * rate;
    }
    int64_t tax = net * TAX_PERCENT / 100, total = net + 2 * tax;
    put_line(&lines.json, STR("CGST 9 %"), 1, tax);
    put_line(&lines.json, STR("SGST 9 %"), 1, tax);

    c->own[0] = DBV_TEXT(arena_printf(c->arena, "%s/%06lld", c->spa->code, (long long)c->number));
    c->own[1] = day(c, c->today);
    c->own[2] = name(c);
    c->own[3] = DBV_TEXT(payment_mode(c->dice));
    c->own[4] = close_list(&lines);
    c->own[5] = DBV_INT(total);
    c->own[6] = DBV_TEXT(rupees_in_words(c->arena, total));
    json_member_int(c->data, "taxable_amount", net);
    json_member_int(c->data, "tax_amount", 2 * tax);
}

static void put_entry(const struct draft *c, struct json *j)
{
    const struct demo_service *service = draw_service(c->dice);
    struct str therapist = dice_full_name(c->dice, c->spa->place), mode = payment_mode(c->dice);

    json_object(j);
    json_member_int(j, "room", dice_between(c->dice, 1, 8));
    json_member_str(j, "service", service_title(c->arena, service));
    json_member_str(j, "therapist", therapist);
    json_member_int(j, "amount", (int64_t)service->price * PAISE);
    json_member_str(j, "payment_mode", mode);
    json_object_end(j);
}

static void draw_sheet(const struct draft *c)
{
    struct list entries;

    c->own[0] = DBV_TEXT(str_of(c->spa->name));
    c->own[1] = day(c, c->today);
    open_list(&entries, c->arena);
    for (int left = dice_between(c->dice, 4, 12); left > 0; left--)
        put_entry(c, &entries.json);
    c->own[2] = close_list(&entries);
    json_member_str(c->data, "branch", str_of(c->spa->code));
    json_member_str(c->data, "city", str_of(c->spa->place->city));
}

/* ---- the categories ---- */

typedef void draw_fn(const struct draft *c);

/* In the order of `categories`. The shares add up to 100; what is sensitive is
 * never public. */
struct kind {
    const char *prefix; /* of serials                           */
    int share;          /* of all certificates, in percent      */
    int valid_months;   /* 0: for ever                          */
    draw_fn *draw;
    size_t own_columns;
    struct db_statement one, many; /* store one row, and BATCH_ROWS */
};

enum { COMMON_COLUMNS = 11 };
#define HEAD(table, columns)                                                                                           \
    "INSERT INTO " table "_certificates (code, serial, template_id, spa_id, created_by, certificate_data, is_public,"  \
    " generated_at, expires_at, revoked_at, revoke_reason, " columns ") VALUES "
#define ROW(places) "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " places ")"
#define INSERT(table, columns, places)                                                                                 \
    .one = { "demo_insert_" table, HEAD(table, columns) ROW(places), DB_WRITE },                                       \
    .many = { "demo_insert_many_" table, HEAD(table, columns) BATCH_TEXT(ROW(places)), DB_WRITE }

/* clang-format off */
static const struct kind kinds[DEMO_CATEGORIES] = {
    { "ST", 50,  0, draw_therapist,   4,
      INSERT("spa_therapist", "candidate_name, course_name, start_date, end_date", "?, ?, ?, ?") },
    { "MS",  5,  6, draw_salary,      5,
      INSERT("manager_salary", "manager_name, position, joining_date, monthly_salary, salary_months", "?, ?, ?, ?, ?") },
    { "OL",  8,  0, draw_offer,       4,
      INSERT("offer_letter", "employee_name, position, start_date, monthly_salary", "?, ?, ?, ?") },
    { "EL",  9,  0, draw_experience,  6,
      INSERT("experience_letter", "candidate_name, position, joining_date, end_date, duration, monthly_salary",
             "?, ?, ?, ?, ?, ?") },
    { "AL",  6,  0, draw_appointment, 4,
      INSERT("appointment_letter", "employee_name, position, start_date, monthly_salary", "?, ?, ?, ?") },
    { "IN", 14,  0, draw_bill,        7,
      INSERT("invoice_spa_bill", "bill_number, bill_date, customer_name, payment_mode, bill_lines, total_amount,"
             " amount_in_words", "?, ?, ?, ?, ?, ?, ?") },
    { "ID",  5, 12, draw_card,        5,
      INSERT("id_card", "employee_name, designation, joining_date, contact_number, issue_date", "?, ?, ?, ?, ?") },
    { "DS",  3,  0, draw_sheet,       3,
      INSERT("daily_sheet", "spa_name, sheet_date, entries", "?, ?, ?") },
};
/* clang-format on */
#undef INSERT
#undef ROW
#undef HEAD

static int draw_kind(struct demo_dice *d)
{
    int kind = 0, at = dice_between(d, 0, 99);

    for (at -= kinds[0].share; at >= 0; at -= kinds[kind].share)
        kind++;
    return kind;
}

/* One in 250 was taken back some days later. */
static void revoke(const struct draft *c, struct db_value *at, struct db_value *why)
{
    static const char *const reasons[] = { "Issued with a wrong name", "Issued twice", "Training was not completed" };
    bool revoked = dice_between(c->dice, 1, 250) == 1;

    *at = *why = DBV_NULL;
    if (!revoked)
        return;
    *at = DBV_INT(c->at + (wall_ms)dice_between(c->dice, 1, 40) * 3600 * MS_PER_S);
    *why = DBV_TEXT(str_of(reasons[dice_between(c->dice, 0, 2)]));
}

static struct db_value expiry(const struct kind *kind, const struct draft *c)
{
    if (!kind->valid_months)
        return DBV_NULL;
    return DBV_INT((wall_ms)day_add_months(c->today, kind->valid_months) * 86400 * MS_PER_S);
}

static enum err add_certificate(struct demo_run *run, struct batch *batch, int k, int64_t number, wall_ms at)
{
    const struct kind *kind = &kinds[k];
    struct db_value args[COMMON_COLUMNS + OWN_COLUMNS_MAX];
    struct buf buf;
    struct json data;
    int spa = run_spa(run);
    struct draft c = {
        .dice = &run->dice,
        .arena = &run->arena,
        .spa = &run->spas[spa],
        .number = number,
        .at = at,
        .today = moment_day(at),
        .data = &data,
        .own = args + COMMON_COLUMNS,
    };

    buf_init_arena(&buf, &run->arena, DATA_MAX_BYTES);
    json_init(&data, &buf);
    json_object(&data);
    kind->draw(&c);
    json_object_end(&data);

    args[0] = DBV_TEXT(dice_code(&run->dice));
    args[1] = DBV_TEXT(arena_printf(&run->arena, "%s-%07lld", kind->prefix, (long long)number));
    args[2] = DBV_INT(k * DEMO_VARIANTS + dice_between(&run->dice, 1, DEMO_VARIANTS));
    args[3] = DBV_INT(spa + 1);
    args[4] = DBV_INT(run_clerk(run, spa));
    args[5] = DBV_TEXT(buf_view(&buf));
    args[6] = DBV_INT(!categories[k].sensitive && dice_percent(&run->dice, 50));
    args[7] = DBV_INT(at);
    args[8] = expiry(kind, &c);
    revoke(&c, &args[9], &args[10]);
    const enum err e = run->arena.full ? E_NO_MEMORY : batch_add(batch, &run->scope, args);
    arena_reset(&run->arena);
    return e;
}

static enum err add_certificates(struct demo_run *run, struct batch *batches, const struct demo_options *options)
{
    int64_t numbers[DEMO_CATEGORIES] = { 0 }, total = options->certificates;
    enum err e = OK;

    for (int64_t i = 0; i < total && !e; i++) {
        if (options->progress && i % PROGRESS_EVERY == 0)
            options->progress(options->arg, i, total);
        int kind = draw_kind(&run->dice);
        e = add_certificate(run, &batches[kind], kind, ++numbers[kind], run_moment(i, total));
    }
    for (int k = 0; k < DEMO_CATEGORIES && !e; k++)
        e = batch_flush(&batches[k], &run->scope);
    if (options->progress && !e)
        options->progress(options->arg, total, total);
    return e;
}

enum err demo_certificates_fill(struct demo_run *run, const struct demo_options *options)
{
    struct batch batches[DEMO_CATEGORIES];

    for (int k = 0; k < DEMO_CATEGORIES; k++)
        batch_init(&batches[k], &kinds[k].one, &kinds[k].many, COMMON_COLUMNS + kinds[k].own_columns);
    const enum err e = add_certificates(run, batches, options);
    for (int k = 0; k < DEMO_CATEGORIES; k++)
        batch_done(&batches[k]);
    return e;
}
