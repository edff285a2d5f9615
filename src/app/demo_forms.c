/* SPDX-License-Identifier: MIT */
/* The demo's forms: who applied for work, and whom the branches look for. */
#include "app/demo_run.h"

enum { MS_PER_DAY = 86400000 };

static const struct demo_job *draw_job(struct demo_dice *d)
{
    return &demo_jobs[random_below(&d->random, demo_job_count)];
}

static struct db_value word(struct demo_run *run, const struct demo_list *list)
{
    return DBV_TEXT(dice_word(&run->dice, list));
}

/* A status, more often one that stands earlier in the list of four; and when it
 * was set: NULL while it is the first one. */
struct progress {
    struct db_value status, updated_at;
};

static struct progress draw_progress(struct demo_dice *d, const char *const names[4], wall_ms at)
{
    int first = dice_between(d, 0, 3), second = dice_between(d, 0, 3), days = dice_between(d, 1, 21);
    int step = first < second ? first : second;

    return (struct progress){
        .status = DBV_TEXT(str_of(names[step])),
        .updated_at = step ? DBV_INT(at + (wall_ms)days * MS_PER_DAY) : DBV_NULL,
    };
}

/* ---- candidates ---- */

static const struct db_statement insert_candidate = {
    "demo_insert_candidate",
    "INSERT INTO candidate_forms (spa_id, created_by, candidate_name, phone_number, email, date_of_birth, gender,"
    " current_address, city, state, pincode, position_applied, education, languages, experience_months, last_employer,"
    " current_salary, expected_salary, status, created_at, updated_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    DB_WRITE
};

/* What somebody has done so far. */
struct career {
    int months;
    struct db_value employer, pay;
    int64_t hopes_for;
};

static struct career draw_career(struct demo_run *run, const struct demo_job *job)
{
    struct demo_dice *d = &run->dice;
    int64_t pay = dice_pay(d, job);
    bool beginner = dice_percent(d, 30);
    int months = dice_between(d, 3, 120), more = dice_between(d, 5, 25);
    struct db_value employer = word(run, &demo_reference_jobs);

    if (beginner)
        return (struct career){ .employer = DBV_NULL, .pay = DBV_NULL, .hopes_for = pay };
    return (struct career){ months, employer, DBV_INT(pay), pay / 100 * (100 + more) };
}

static enum err add_candidate(struct demo_run *run, int64_t i)
{
    static const char *const statuses[] = { "new", "called", "rejected", "hired" };
    struct demo_dice *d = &run->dice;
    wall_ms at = run_moment(i, DEMO_CANDIDATE_FORMS);
    int spa = run_spa(run);
    const struct demo_job *job = draw_job(d);
    struct demo_person person = dice_person(d, run->spas[spa].place);
    struct demo_home home = dice_home(d, run->spas[spa].place);
    struct career career = draw_career(run, job);
    struct progress progress = draw_progress(d, statuses, at);
    struct str phone = dice_phone(d), education = dice_word(d, &demo_qualifications);
    struct str language = dice_word(d, &demo_languages);
    demo_day born = moment_day(at) - dice_between(d, 19 * 366, 44 * 365);
    const struct db_value args[] = {
        DBV_INT(spa + 1),
        DBV_NULL,
        DBV_TEXT(person_name(&run->arena, &person)),
        DBV_TEXT(phone),
        DBV_TEXT(person_email(&run->arena, &person, (int)i + 1, "example.com")),
        DBV_TEXT(day_text(&run->arena, born)),
        DBV_TEXT(person.female ? STR("female") : STR("male")),
        DBV_TEXT(home.address),
        DBV_TEXT(str_of(home.place->city)),
        DBV_TEXT(str_of(home.place->state)),
        DBV_TEXT(home.pincode),
        DBV_TEXT(str_of(job->title)),
        DBV_TEXT(education),
        DBV_TEXT(language),
        DBV_INT(career.months),
        career.employer,
        career.pay,
        DBV_INT(career.hopes_for),
        progress.status,
        DBV_INT(at),
        progress.updated_at,
    };
    return run_insert(run, &insert_candidate, args, sizeof args / sizeof *args);
}

/* ---- vacancies ---- */

static const struct db_statement insert_hiring = {
    "demo_insert_hiring",
    "INSERT INTO hiring_forms (spa_id, created_by, job_role, vacancies, required_experience, required_skills,"
    " required_education, monthly_salary_from, monthly_salary_to, contact_person, contact_number, needed_by, status,"
    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    DB_WRITE
};

static enum err add_hiring(struct demo_run *run, int64_t i)
{
    enum { PAISE = 100 };
    static const char *const statuses[] = { "open", "filled", "filled", "closed" };
    struct demo_dice *d = &run->dice;
    wall_ms at = run_moment(i, DEMO_HIRING_FORMS);
    int spa = run_spa(run), vacancies = dice_between(d, 1, 4), years = dice_between(d, 0, 5);
    const struct demo_job *job = draw_job(d);
    struct progress progress = draw_progress(d, statuses, at);
    struct str contact = dice_full_name(d, run->spas[spa].place), phone = dice_phone(d);
    struct str education = dice_word(d, &demo_qualifications);
    demo_day needed_by = moment_day(at) + dice_between(d, 10, 60);
    const struct db_value args[] = {
        DBV_INT(spa + 1),
        DBV_INT(DEMO_OWNERS + DEMO_ADMINS + 1 + spa),
        DBV_TEXT(str_of(job->title)),
        DBV_INT(vacancies),
        DBV_TEXT(years ? arena_printf(&run->arena, "%d+ years", years) : STR("None")),
        DBV_TEXT(str_of(job->duties)),
        DBV_TEXT(education),
        DBV_INT((int64_t)job->least * PAISE),
        DBV_INT((int64_t)job->most * PAISE),
        DBV_TEXT(contact),
        DBV_TEXT(phone),
        DBV_TEXT(day_text(&run->arena, needed_by)),
        progress.status,
        DBV_INT(at),
        progress.updated_at,
    };
    return run_insert(run, &insert_hiring, args, sizeof args / sizeof *args);
}

enum err demo_forms_fill(struct demo_run *run)
{
    enum err e = OK;

    for (int64_t i = 0; i < DEMO_CANDIDATE_FORMS && !e; i++)
        e = add_candidate(run, i);
    for (int64_t i = 0; i < DEMO_HIRING_FORMS && !e; i++)
        e = add_hiring(run, i);
    return e;
}
