/* SPDX-License-Identifier: MIT */
#include "app/demo.h"

#include "app/demo_run.h"
#include "base/buf.h"

enum { ARENA_MAX_BYTES = 1 << 20, MS_PER_DAY = 86400000 };

/* ---- what the parts use ---- */

enum err run_insert(struct demo_run *run, const struct db_statement *st, const struct db_value *args, size_t count)
{
    struct db_rows rows;

    if (run->arena.full)
        return E_NO_MEMORY;
    enum err e = db_query(&run->scope, st, args, count, &rows);
    arena_reset(&run->arena);
    return e;
}

wall_ms run_moment(int64_t i, int64_t n)
{
    enum { OPEN_S = 4 * 3600, DAY_S = 10 * 3600 }; /* 9:30 in India is 4:00 UTC */
    int64_t second = (2 * i + 1) * DEMO_DAYS * DAY_S / (2 * n);
    int64_t day = DEMO_FIRST_DAY + second / DAY_S;
    return day * MS_PER_DAY + (OPEN_S + second % DAY_S) * MS_PER_S;
}

demo_day moment_day(wall_ms at) { return (demo_day)(at / MS_PER_DAY); }

int run_spa(struct demo_run *run) { return dice_between(&run->dice, 0, DEMO_SPAS - 1); }

int64_t run_clerk(struct demo_run *run, int spa)
{
    if (dice_percent(&run->dice, 10))
        return dice_between(&run->dice, DEMO_OWNERS + 1, DEMO_OWNERS + DEMO_ADMINS);
    return DEMO_OWNERS + DEMO_ADMINS + 1 + spa;
}

/* ---- the whole ---- */

/* One row a table that has rows. */
static const struct db_statement find_data = {
    "demo_find_data",
    "SELECT * FROM ("
    "SELECT 'users' AS name, (SELECT count(*) FROM users) AS n"
    " UNION ALL SELECT 'spa', (SELECT count(*) FROM spa)"
    " UNION ALL SELECT 'certificate_templates', (SELECT count(*) FROM certificate_templates)"
    " UNION ALL SELECT 'spa_therapist_certificates', (SELECT count(*) FROM spa_therapist_certificates)"
    " UNION ALL SELECT 'manager_salary_certificates', (SELECT count(*) FROM manager_salary_certificates)"
    " UNION ALL SELECT 'offer_letter_certificates', (SELECT count(*) FROM offer_letter_certificates)"
    " UNION ALL SELECT 'experience_letter_certificates', (SELECT count(*) FROM experience_letter_certificates)"
    " UNION ALL SELECT 'appointment_letter_certificates', (SELECT count(*) FROM appointment_letter_certificates)"
    " UNION ALL SELECT 'invoice_spa_bill_certificates', (SELECT count(*) FROM invoice_spa_bill_certificates)"
    " UNION ALL SELECT 'id_card_certificates', (SELECT count(*) FROM id_card_certificates)"
    " UNION ALL SELECT 'daily_sheet_certificates', (SELECT count(*) FROM daily_sheet_certificates)"
    " UNION ALL SELECT 'candidate_forms', (SELECT count(*) FROM candidate_forms)"
    " UNION ALL SELECT 'hiring_forms', (SELECT count(*) FROM hiring_forms)) AS tables WHERE n > 0",
    DB_READ_LONG
};

static void say(struct demo_error *error, struct str text)
{
    size_t n = text.len < sizeof error->text - 1 ? text.len : sizeof error->text - 1;
    memcpy(error->text, text.ptr, n);
    error->text[n] = '\0';
}

static void say_rows(struct demo_run *run, const struct db_rows *rows, struct demo_error *error)
{
    struct buf b;

    buf_init_arena(&b, &run->arena, sizeof error->text);
    buf_cstr(&b, "this database already has data:");
    for (size_t i = 0; i < rows->count; i++) {
        const struct db_value *row = db_row(rows, i);
        buf_cstr(&b, i ? ", " : " ");
        buf_str(&b, db_text(&row[0]));
        buf_byte(&b, ' ');
        buf_int(&b, db_int(&row[1]));
    }
    say(error, buf_view(&b));
}

/* E_CONFLICT, and says what there is, unless every table is empty. */
static enum err check_empty(struct demo_run *run, struct demo_error *error)
{
    struct db_rows rows;
    enum err e = db_query(&run->scope, &find_data, DB_NO_ARGS, &rows);

    if (!e && rows.count) {
        say_rows(run, &rows, error);
        error->has_data = true;
        e = E_CONFLICT;
    }
    arena_reset(&run->arena);
    return e;
}

static enum err fill(struct demo_run *run, const struct demo_options *options, struct demo_error *error)
{
    enum err e = db_begin(&run->scope);

    if (!e)
        e = check_empty(run, error);
    if (!e)
        e = demo_chain_fill(run);
    if (!e)
        e = demo_forms_fill(run);
    if (!e)
        e = demo_certificates_fill(run, options);
    if (!e)
        e = db_commit(&run->scope);
    return e;
}

/* What an operator is told; the rest has its own sentence (err_text). */
static const char *reason(enum err e)
{
    static const char *const reasons[ERR_COUNT] = {
        [E_DISK_FULL] = "the disk is full; nothing was stored",
        [E_READ_ONLY] = "the database cannot be written to; nothing was stored",
        [E_BUSY] = "another process is writing to the database; nothing was stored",
        [E_UNAVAILABLE] = "the database cannot be opened",
        [E_DATABASE] = "the database refused a row; is it migrated? (sanad migrate)",
        [E_NO_MEMORY] = "not enough memory; nothing was stored",
    };
    return reasons[e] ? reasons[e] : err_text(e);
}

enum err demo_fill(struct db *db, const struct demo_options *options, struct demo_counts *ret_counts,
                   struct demo_error *ret_error)
{
    if (options->certificates < 0 || options->certificates > DEMO_CERTIFICATES_MAX) {
        say(ret_error, STR("the number of certificates is out of bounds"));
        return E_INVALID;
    }
    struct demo_run run = { 0 };
    struct demo_error error = { .text = "" };

    arena_init(&run.arena, ARENA_MAX_BYTES);
    run.scope = db_scope_of(db, &run.arena);
    run.dice.arena = &run.arena;
    random_seed(&run.dice.random, options->seed);

    enum err e = fill(&run, options, &error);
    db_scope_end(&run.scope);
    arena_done(&run.arena);
    if (e) {
        say(ret_error, str_of(error.text[0] ? error.text : reason(e)));
        ret_error->has_data = error.has_data;
        return e;
    }
    *ret_counts = (struct demo_counts){
        .spas = DEMO_SPAS,
        .users = DEMO_USERS,
        .templates = DEMO_TEMPLATES,
        .certificates = options->certificates,
        .candidate_forms = DEMO_CANDIDATE_FORMS,
        .hiring_forms = DEMO_HIRING_FORMS,
    };
    return OK;
}
