/* SPDX-License-Identifier: MIT */
#include "db/examine.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PINGS = 21,              /* odd, for a median                                    */
    RESERVED = 1,            /* connections, for an administrator                    */
    STEP = 50,               /* max_connections is proposed in such steps            */
    USER_STEP = 10,          /* and max_user_connections                             */
    VERSION_PART_MAX = 9999, /* more is no version                                   */
};

static const struct db_statement variables = {
    "server_variables",
    "SHOW VARIABLES WHERE Variable_name IN ('version', 'version_comment', 'character_set_database',"
    " 'collation_database', 'character_set_server', 'max_connections', 'max_user_connections', 'wait_timeout',"
    " 'innodb_buffer_pool_size', 'innodb_flush_log_at_trx_commit')",
    DB_READ,
};
static const struct db_statement status = {
    "server_status",
    "SHOW STATUS WHERE Variable_name IN ('Threads_connected', 'Max_used_connections', 'Ssl_cipher')",
    DB_READ,
};

/* The host of a connection by TCP ends in its port. */
static const struct db_statement our_connections = {
    "server_our_connections",
    "SELECT COUNT(*) FROM information_schema.processlist, (SELECT SUBSTRING_INDEX(USER(), '@', 1) AS name,"
    " SUBSTRING_INDEX(USER(), '@', -1) AS machine) AS me WHERE user = me.name AND id <> CONNECTION_ID()"
    " AND (host = me.machine OR LEFT(host, CHAR_LENGTH(me.machine) + 1) = CONCAT(me.machine, ':'))",
    DB_READ,
};
static const struct db_statement data_size = {
    "server_data_size",
    "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables"
    " WHERE table_schema = DATABASE()",
    DB_READ_LONG,
};
static const struct db_statement clock_ms = {
    "server_clock",
    "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) DIV 1000",
    DB_READ,
};

/* ---- versions ------------------------------------------------------------------------ */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Cuts a number and a point behind it off the front; 0 where there is none. */
static int next_number(struct str *text)
{
    int n = 0;

    for (; text->len > 0 && is_digit(*text->ptr); *text = str_slice(*text, 1, text->len))
        n = n > VERSION_PART_MAX ? n : n * 10 + (*text->ptr - '0');
    if (text->len > 1 && *text->ptr == '.' && is_digit(text->ptr[1]))
        *text = str_slice(*text, 1, text->len);
    return n;
}

static bool mentions(struct str text, struct str word)
{
    for (size_t i = 0; i + word.len <= text.len; i++)
        if (str_eq_nocase(str_slice(text, i, i + word.len), word))
            return true;
    return false;
}

/* MariaDB used to call itself 5.5.5-10.x to clients that knew no number above 5,
 * and some proxies still do. */
struct server_version server_version_of(struct str text, struct str comment)
{
    const struct str mask = STR("5.5.5-"), mariadb = STR("MariaDB");
    struct server_version v = { .kind = SERVER_MYSQL };

    if (mentions(text, mariadb) || mentions(comment, mariadb))
        v.kind = SERVER_MARIADB;
    if (str_starts_with(text, mask) && text.len > mask.len && is_digit(text.ptr[mask.len]))
        text = str_slice(text, mask.len, text.len);
    v.major = next_number(&text);
    v.minor = next_number(&text);
    v.patch = next_number(&text);
    if (v.major == 0 || v.major > VERSION_PART_MAX || v.minor > VERSION_PART_MAX || v.patch > VERSION_PART_MAX)
        return (struct server_version){ .kind = SERVER_OTHER };
    return v;
}

bool server_version_older(const struct server_version *v, int major, int minor, int patch)
{
    if (v->major != major)
        return v->major < major;
    return v->minor != minor ? v->minor < minor : v->patch < patch;
}

/* ---- variables and counters ------------------------------------------------------------- */

#define NUMBER(member) false, offsetof(struct server_facts, member)
#define TEXT(member)   true, offsetof(struct server_facts, member)

/* Under which name the server tells a fact. */
static const struct fact {
    const char *name;
    bool is_text;
    size_t at;
} facts_told[] = {
    { "version", TEXT(version_text) },
    { "character_set_database", TEXT(charset) },
    { "collation_database", TEXT(collation) },
    { "character_set_server", TEXT(server_charset) },
    { "Ssl_cipher", TEXT(tls_cipher) },
    { "max_connections", NUMBER(max_connections) },
    { "max_user_connections", NUMBER(max_user_connections) },
    { "wait_timeout", NUMBER(wait_timeout_s) },
    { "innodb_buffer_pool_size", NUMBER(buffer_pool_bytes) },
    { "innodb_flush_log_at_trx_commit", NUMBER(flush_log) },
    { "Threads_connected", NUMBER(connected) },
    { "Max_used_connections", NUMBER(max_used) },
};

#undef NUMBER
#undef TEXT

static void note(struct server_facts *facts, struct str name, struct str value)
{
    for (size_t i = 0; i < sizeof(facts_told) / sizeof(facts_told[0]); i++) {
        void *member = (char *)facts + facts_told[i].at;

        if (!str_eq_nocase(name, str_of(facts_told[i].name)))
            continue;
        if (facts_told[i].is_text)
            *(struct str *)member = value;
        else if (str_to_int(value, 0, INT64_MAX, member) != OK)
            *(int64_t *)member = FACT_UNKNOWN;
    }
}

/* Something that the server refuses is not known; that it is gone is a failure. */
static enum err ask(struct db_scope *scope, const struct db_statement *st, struct db_rows *ret_rows)
{
    const enum err e = db_query(scope, st, DB_NO_ARGS, ret_rows);

    if (e == E_DATABASE)
        *ret_rows = (struct db_rows){ .count = 0 };
    return e == E_DATABASE ? OK : e;
}

/* *ret_number stays as it is when the server refuses. */
static enum err ask_number(struct db_scope *scope, const struct db_statement *st, int64_t *ret_number)
{
    struct db_rows rows;
    const enum err e = ask(scope, st, &rows);

    if (e == OK && rows.count == 1 && rows.values[0].kind == DB_INT)
        *ret_number = rows.values[0].i;
    return e;
}

/* Reads the rows "name, value" of a SHOW. */
static enum err show(struct db_scope *scope, const struct db_statement *st, struct server_facts *facts,
                     struct str *ret_comment)
{
    struct db_rows rows;
    const enum err e = ask(scope, st, &rows);

    for (size_t i = 0; e == OK && i < rows.count && rows.columns >= 2; i++) {
        const struct str name = db_text(&db_row(&rows, i)[0]), value = db_text(&db_row(&rows, i)[1]);

        note(facts, name, value);
        if (str_eq_nocase(name, STR("version_comment")))
            *ret_comment = value;
    }
    return e;
}

enum err examine_server(struct db_scope *scope, struct server_facts *ret_facts)
{
    struct server_facts facts = {
        .max_connections = FACT_UNKNOWN,
        .max_user_connections = FACT_UNKNOWN,
        .connected = FACT_UNKNOWN,
        .max_used = FACT_UNKNOWN,
        .ours = FACT_UNKNOWN,
        .wait_timeout_s = FACT_UNKNOWN,
        .buffer_pool_bytes = FACT_UNKNOWN,
        .data_bytes = FACT_UNKNOWN,
        .flush_log = FACT_UNKNOWN,
        .round_trip_ns = FACT_UNKNOWN,
    };
    struct str comment = STR_EMPTY;
    enum err e = show(scope, &variables, &facts, &comment);

    if (e == OK)
        e = show(scope, &status, &facts, &comment);
    if (e == OK)
        e = ask_number(scope, &our_connections, &facts.ours);
    if (e != OK)
        return e;
    facts.version = server_version_of(facts.version_text, comment);
    *ret_facts = facts;
    return OK;
}

/* ---- speed and clock ----------------------------------------------------------------------- */

static int by_length(const void *a, const void *b)
{
    const mono_ns x = *(const mono_ns *)a, y = *(const mono_ns *)b;

    return (x > y) - (x < y);
}

/* The server reads its clock somewhere within the round trip: the shortest one
 * tells best where. */
static enum err compare_clocks(struct db_scope *scope, struct server_facts *facts)
{
    mono_ns took[PINGS], shortest = INT64_MAX;
    enum err e = OK;

    for (size_t i = 0; e == OK && i < PINGS; i++) {
        const wall_ms before = clock_wall();
        const mono_ns start = clock_mono();
        int64_t there = before;

        e = ask_number(scope, &clock_ms, &there);
        took[i] = clock_mono() - start;
        if (took[i] >= shortest)
            continue;
        shortest = took[i];
        facts->ahead_ms = there - before - took[i] / 2 / NS_PER_MS;
    }
    if (e != OK)
        return e;
    qsort(took, PINGS, sizeof(took[0]), by_length);
    facts->round_trip_ns = took[PINGS / 2];
    return OK;
}

enum err examine_speed(struct db_scope *scope, struct server_facts *facts)
{
    const enum err e = ask_number(scope, &data_size, &facts->data_bytes);

    return e == OK ? compare_clocks(scope, facts) : e;
}

/* ---- room ------------------------------------------------------------------------------------- */

int64_t facts_others(const struct server_facts *facts)
{
    const int64_t ours = facts->ours > 0 ? facts->ours : 0;
    const int64_t others = facts->connected - 1 - ours;

    return others > 0 ? others : 0;
}

static bool is_account_limited(const struct server_facts *facts) { return facts->max_user_connections > 0; }

int64_t facts_room(const struct server_facts *facts)
{
    int64_t room = facts->max_connections - facts_others(facts) - RESERVED;

    if (facts->max_connections == FACT_UNKNOWN)
        return FACT_UNKNOWN;
    if (is_account_limited(facts) && facts->max_user_connections < room)
        room = facts->max_user_connections;
    return room > 0 ? room : 0;
}

/* The next multiple of `step` that is at least n. */
static int64_t in_steps(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

void facts_room_line(const struct server_facts *facts, int64_t wanted, char out[static FACTS_LINE_SIZE])
{
    const int64_t all = wanted + facts_others(facts) + RESERVED;
    const bool few = facts->max_connections < all;
    const bool few_for_us = is_account_limited(facts) && facts->max_user_connections < wanted;

    out[0] = '\0';
    if (few)
        snprintf(out, FACTS_LINE_SIZE, "max_connections = %lld%s", (long long)in_steps(all, STEP),
                 few_for_us ? ", " : "");
    if (few_for_us)
        snprintf(out + strlen(out), FACTS_LINE_SIZE - strlen(out), "max_user_connections = %lld",
                 (long long)in_steps(wanted + 1, USER_STEP));
}
