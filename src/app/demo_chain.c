/* SPDX-License-Identifier: MIT */
/* The demo's chain itself: its branches, the people with an account, and its
 * certificate templates. Everything here existed before the first certificate. */
#include "app/demo_run.h"

#include <stdio.h>

#define FOUNDED ((wall_ms)(DEMO_FIRST_DAY - 30) * 86400000)

/* Row n of a table, stored n minutes after the chain was founded. */
static wall_ms founded(int n)
{
    enum { MS_PER_MINUTE = 60000 };
    return FOUNDED + (wall_ms)n * MS_PER_MINUTE;
}

/* ---- spas ---- */

static const struct db_statement insert_spa = {
    "demo_insert_spa",
    "INSERT INTO spa (id, code, name, address, area, city, state, pincode, phone_number, email, website, gst_number,"
    " is_active, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    DB_WRITE
};

/* The cities in the table's order from a random one on; a city that comes
 * again gets another locality. */
static const char *settle(struct demo_spa *spa, int index, size_t first)
{
    size_t turn = first + (size_t)index;

    spa->place = &demo_places[turn % demo_place_count];
    const char *locality = spa->place->localities[(first + turn / demo_place_count) % DEMO_LOCALITIES];
    snprintf(spa->name, sizeof spa->name, DEMO_CHAIN " Spa, %s, %s", locality, spa->place->city);
    snprintf(spa->code, sizeof spa->code, "%s-%03d", spa->place->short_name, index + 1);
    return locality;
}

/* The right shape for India, but of nobody: serial 0000 is never given out. */
static struct str gst_number(struct arena *a, const struct demo_place *place)
{
    return arena_printf(a, "%sAAACS0000D1Z5", place->gst);
}

static enum err add_spa(struct demo_run *run, int index, size_t first)
{
    struct demo_spa *spa = &run->spas[index];
    const char *locality = settle(spa, index, first);
    struct demo_home home = dice_home(&run->dice, spa->place);
    struct str phone = dice_phone(&run->dice);
    struct str email = arena_printf(&run->arena, "spa%d@" DEMO_DOMAIN, index + 1);
    struct str website = arena_printf(&run->arena, "https://" DEMO_DOMAIN "/%s", spa->code);
    const struct db_value args[] = {
        DBV_INT(index + 1),
        DBV_TEXT(str_of(spa->code)),
        DBV_TEXT(str_of(spa->name)),
        DBV_TEXT(home.address),
        DBV_TEXT(str_of(locality)),
        DBV_TEXT(str_of(spa->place->city)),
        DBV_TEXT(str_of(spa->place->state)),
        DBV_TEXT(home.pincode),
        DBV_TEXT(phone),
        DBV_TEXT(email),
        DBV_TEXT(website),
        DBV_TEXT(gst_number(&run->arena, spa->place)),
        DBV_INT(1),
        DBV_INT(founded(index)),
    };
    return run_insert(run, &insert_spa, args, sizeof args / sizeof *args);
}

/* ---- users ---- */

static const struct db_statement insert_user = {
    "demo_insert_user",
    "INSERT INTO users (id, email, username, full_name, password_hash, role, spa_id, is_active, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    DB_WRITE
};

/* How many there are of each role, in the order of their ids. */
static const struct {
    const char *role;
    int count;
} staff[] = {
    { "super_admin", DEMO_OWNERS },
    { "admin", DEMO_ADMINS },
    { "spa_manager", DEMO_SPAS },
    { "user", DEMO_OTHERS },
};

static enum err add_user(struct demo_run *run, int id, const char *role, int spa)
{
    const struct demo_place *place = spa >= 0 ? run->spas[spa].place : dice_place(&run->dice);
    struct demo_person person = dice_person(&run->dice, place);
    struct str email = person_email(&run->arena, &person, id, DEMO_DOMAIN);
    const struct db_value args[] = {
        DBV_INT(id),
        DBV_TEXT(email),
        DBV_TEXT(str_slice(email, 0, str_find(email, '@', 0))),
        DBV_TEXT(person_name(&run->arena, &person)),
        DBV_TEXT(STR("!")),
        DBV_TEXT(str_of(role)),
        spa >= 0 ? DBV_INT(spa + 1) : DBV_NULL,
        DBV_INT(1),
        DBV_INT(founded(DEMO_SPAS + id)),
    };
    return run_insert(run, &insert_user, args, sizeof args / sizeof *args);
}

static enum err add_users(struct demo_run *run)
{
    enum err e = OK;
    int id = 1;

    for (size_t s = 0; s < sizeof staff / sizeof *staff; s++) {
        bool manages = staff[s].count == DEMO_SPAS;
        for (int i = 0; i < staff[s].count && !e; i++)
            e = add_user(run, id++, staff[s].role, manages ? i : -1);
    }
    return e;
}

/* ---- templates ---- */

static const struct db_statement insert_template = {
    "demo_insert_template",
    "INSERT INTO certificate_templates (id, name, category, template_type, template_variant, template_html,"
    " template_config, created_by, is_active, is_public, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    DB_WRITE
};

static enum err add_template(struct demo_run *run, int index)
{
    struct demo_template t = demo_template_at(&run->arena, index);
    const struct db_value args[] = {
        DBV_INT(index + 1),
        DBV_TEXT(t.name),
        DBV_TEXT(str_of(t.category)),
        DBV_TEXT(STR("html")),
        DBV_TEXT(str_of(t.variant)),
        DBV_TEXT(t.html),
        DBV_TEXT(str_of(t.config)),
        DBV_INT(DEMO_OWNERS),
        DBV_INT(1),
        DBV_INT(1),
        DBV_INT(founded(DEMO_SPAS + DEMO_USERS + index)),
    };
    return run_insert(run, &insert_template, args, sizeof args / sizeof *args);
}

enum err demo_chain_fill(struct demo_run *run)
{
    size_t first = random_below(&run->dice.random, demo_place_count);
    enum err e = OK;

    for (int i = 0; i < DEMO_SPAS && !e; i++)
        e = add_spa(run, i, first);
    if (!e)
        e = add_users(run);
    for (int i = 0; i < DEMO_TEMPLATES && !e; i++)
        e = add_template(run, i);
    return e;
}
