/* SPDX-License-Identifier: MIT */
/* Of `sanad check`: whether a MariaDB or MySQL server suits this node. Each of the
 * judgements is one function over the facts of db/examine.h, listed behind the last;
 * what is to be changed in the server is given as the line of its my.cnf. */
#include "cli/check.h"

#include <stdio.h>

#include "base/cidr.h"
#include "db/examine.h"

enum {
    FACTS_BYTES = 256 * 1024,
    SIZE_TEXT = 24,
    ROOM_TEXT = 200,
    SLOW_PING_MS = 5,
    CLOCK_WARN_MS = 1000,
    CLOCK_BAD_MS = 30 * 1000,
    SHORT_IDLE_S = 60,    /* idle connections that close sooner are opened for every rush anew */
    BUFFER_STEP_MB = 256, /* innodb_buffer_pool_size is proposed in such steps                */
    MB = 1024 * 1024,
};

/* What is judged, and against what. */
struct examined {
    struct findings *findings;
    const struct settings *settings;
    const struct server_facts *facts;
};

/* ---- the judgements ------------------------------------------------------------ */

/* What it means to be older than that; of several rows the first counts. */
static const struct age {
    enum server_kind kind;
    int major, minor, patch;
    bool bad;
    const char *advice;
} ages[] = {
    { SERVER_MARIADB, 10, 6, 0, true, "older than 10.6, which the migrations need; upgrade it" },
    { SERVER_MARIADB, 10, 8, 0, false,
      "ignores the DESC of indexes, so that every page of a list is sorted; upgrade it to 10.8 or later" },
    { SERVER_MYSQL, 8, 0, 16, true, "older than 8.0.16, which the migrations need; upgrade it" },
};

static void judge_version(const struct examined *c)
{
    static const char *const kinds[] = { [SERVER_MARIADB] = "MariaDB", [SERVER_MYSQL] = "MySQL" };
    const struct server_version *v = &c->facts->version;
    const struct str text = c->facts->version_text;

    if (v->kind == SERVER_OTHER) {
        finding_warn(c->findings, "server",
                     "its version cannot be read (" STR_FMT "); MariaDB 10.8 or MySQL 8.0.16 will do", STR_ARG(text));
        return;
    }
    for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        const struct age *age = &ages[i];
        if (v->kind != age->kind || !server_version_older(v, age->major, age->minor, age->patch))
            continue;
        (age->bad ? finding_bad : finding_warn)(c->findings, "server", "%s " STR_FMT ", %s", kinds[v->kind],
                                                STR_ARG(text), age->advice);
        return;
    }
    finding_good("server", "%s " STR_FMT, kinds[v->kind], STR_ARG(text));
}

static void judge_round_trip(const struct examined *c)
{
    const double ms = (double)c->facts->round_trip_ns / NS_PER_MS;

    if (c->facts->round_trip_ns > (mono_ns)SLOW_PING_MS * NS_PER_MS)
        finding_warn(c->findings, "round trip",
                     "%.2f ms, which each query of a request waits for; move the node nearer", ms);
    else
        finding_good("round trip", "%.2f ms", ms);
}

/* "room for 99 (max_connections 100, others hold none now, at most 57 were used)" */
static const char *room_text(const struct server_facts *facts, char out[static ROOM_TEXT])
{
    char account[48] = "";

    if (facts->max_user_connections > 0)
        snprintf(account, sizeof(account), "max_user_connections %lld, ", (long long)facts->max_user_connections);
    snprintf(out, ROOM_TEXT, "room for %lld (max_connections %lld, %sothers hold %lld now, at most %lld were used)",
             (long long)facts_room(facts), (long long)facts->max_connections, account, (long long)facts_others(facts),
             (long long)facts->max_used);
    return out;
}

/* Fewer than are wanted is a service that limps; not one a worker is none. */
static void judge_room(const struct examined *c)
{
    const struct settings *s = c->settings;
    const int64_t wanted = (int64_t)s->db_pool_size + s->db_max_overflow, room = facts_room(c->facts);
    char line[FACTS_LINE_SIZE], text[ROOM_TEXT];

    if (room == FACT_UNKNOWN) {
        finding_warn(c->findings, "connections", "max_connections cannot be read; my.cnf: it should be over %lld",
                     (long long)wanted);
        return;
    }
    facts_room_line(c->facts, wanted, line);
    room_text(c->facts, text);
    if (room >= wanted)
        finding_good("connections", "%s; the node opens up to %lld", text, (long long)wanted);
    else if (room >= s->max_workers)
        finding_warn(c->findings, "connections",
                     "%s; the node keeps %d and opens %d more in a rush%s; my.cnf: %s (or lower DB_POOL_SIZE and "
                     "DB_MAX_OVERFLOW)",
                     text, s->db_pool_size, s->db_max_overflow,
                     room < s->db_pool_size ? ", and lacks even the first" : "", line);
    else
        finding_bad(c->findings, "connections", "%s, not one for each of %d workers; my.cnf: %s", text, s->max_workers,
                    line);
}

static bool is_utf8mb4(struct str charset) { return str_eq_nocase(charset, STR("utf8mb4")); }

static void judge_charset(const struct examined *c)
{
    const struct server_facts *facts = c->facts;

    if (!facts->charset.ptr)
        finding_warn(c->findings, "character set", "cannot be read; it should be utf8mb4");
    else if (!is_utf8mb4(facts->charset))
        finding_warn(c->findings, "character set",
                     STR_FMT " cannot hold every name; ALTER DATABASE `" STR_FMT
                             "` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;%s",
                     STR_ARG(facts->charset), STR_ARG(c->settings->db_name),
                     is_utf8mb4(facts->server_charset) ? "" : " my.cnf: character_set_server = utf8mb4");
    else
        finding_good("character set", STR_FMT ", " STR_FMT, STR_ARG(facts->charset), STR_ARG(facts->collation));
}

static void judge_clock(const struct examined *c)
{
    const int64_t ahead = c->facts->ahead_ms, off = ahead < 0 ? -ahead : ahead;
    const char *which = ahead < 0 ? "behind" : "ahead of";

    if (off > CLOCK_BAD_MS)
        finding_bad(c->findings, "clock", "the server's is %lld s %s ours; keep both by NTP (chrony)",
                    (long long)(off / MS_PER_S), which);
    else if (off > CLOCK_WARN_MS)
        finding_warn(c->findings, "clock", "the server's is %.1f s %s ours; keep both by NTP (chrony)",
                     (double)off / MS_PER_S, which);
    else
        finding_good("clock", "the server's is %lld ms %s ours", (long long)off, which);
}

/* "640M", "2G": as my.cnf takes them. */
static const char *size_text(int64_t mb, char out[static SIZE_TEXT])
{
    const bool whole = mb >= 1024 && mb % 1024 == 0;

    snprintf(out, SIZE_TEXT, "%lld%c", (long long)(whole ? mb / 1024 : mb), whole ? 'G' : 'M');
    return out;
}

static void judge_buffer_pool(const struct examined *c)
{
    const int64_t data = c->facts->data_bytes, pool = c->facts->buffer_pool_bytes;
    char data_text[SIZE_TEXT], pool_text[SIZE_TEXT], wanted_text[SIZE_TEXT];

    if (data == FACT_UNKNOWN || pool == FACT_UNKNOWN) {
        finding_warn(c->findings, "buffer pool", "innodb_buffer_pool_size or the size of the data cannot be read");
        return;
    }
    size_text((data + MB - 1) / MB, data_text);
    size_text(pool / MB, pool_text);
    size_text((data / MB / BUFFER_STEP_MB + 1) * BUFFER_STEP_MB, wanted_text);
    if (pool < data)
        finding_warn(
            c->findings, "buffer pool",
            "%s for %s of data and indexes: the disk is read for the rest; my.cnf: innodb_buffer_pool_size = %s",
            pool_text, data_text, wanted_text);
    else
        finding_good("buffer pool", "%s for %s of data and indexes", pool_text, data_text);
}

static void judge_durability(const struct examined *c)
{
    const int64_t flush = c->facts->flush_log;

    if (flush == FACT_UNKNOWN)
        finding_warn(c->findings, "durability", "innodb_flush_log_at_trx_commit cannot be read; it should be 1");
    else if (flush != 1)
        finding_warn(c->findings, "durability",
                     "a %s may lose the last second of what clients were told is stored; my.cnf: "
                     "innodb_flush_log_at_trx_commit = 1",
                     flush == 0 ? "crash of the server" : "power cut");
    else
        finding_good("durability", "each commit is on the disk before it is answered");
}

/* Where the pool asks an idle connection before it lends it, it is enough that
 * the server keeps them for the length of a lull. */
static void judge_idle(const struct examined *c)
{
    const struct settings *s = c->settings;
    const int64_t idle = c->facts->wait_timeout_s;
    const bool outlived = s->db_pool_recycle_s <= 0 || (double)idle < s->db_pool_recycle_s;

    if (idle == FACT_UNKNOWN)
        finding_warn(c->findings, "idle timeout", "wait_timeout cannot be read; it should be over DB_POOL_RECYCLE");
    else if (idle < SHORT_IDLE_S || (outlived && !s->db_pool_pre_ping))
        finding_warn(c->findings, "idle timeout",
                     "the server closes a connection that idles for %lld s, DB_POOL_RECYCLE is %.0f s; my.cnf: "
                     "wait_timeout = %.0f%s",
                     (long long)idle, s->db_pool_recycle_s,
                     s->db_pool_recycle_s > 0 ? s->db_pool_recycle_s * 2 : 28800.0,
                     s->db_pool_pre_ping ? "" : ", or DB_POOL_PRE_PING=True");
    else
        finding_good("idle timeout", "%lld s%s", (long long)idle,
                     outlived ? ", before DB_POOL_RECYCLE; DB_POOL_PRE_PING notices" : "");
}

static bool is_this_machine(struct str host)
{
    struct cidr_list loopback;
    struct str bad;

    return str_eq_nocase(host, STR("localhost")) ||
           (cidr_list_parse(STR("127.0.0.0/8,::1"), &loopback, &bad) == OK && cidr_list_holds_text(&loopback, host));
}

/* By a socket, or all hosts are this machine. */
static bool stays_here(const struct settings *s)
{
    bool here = true;

    for (size_t i = 0; s->db_socket.len == 0 && i < s->db_host.count; i++)
        here = here && is_this_machine(s->db_host.rows[i]);
    return here;
}

static void judge_encryption(const struct examined *c)
{
    const struct str cipher = c->facts->tls_cipher;

    if (cipher.len > 0)
        finding_good("encryption", STR_FMT, STR_ARG(cipher));
    else if (stays_here(c->settings))
        finding_good("encryption", "none is needed: the server is on this machine");
    else
        finding_warn(
            c->findings, "encryption",
            "none: the data travels in clear, to whoever listens or answers in the server's place; DB_SSL=True, "
            "with ssl_cert and ssl_key in my.cnf");
}

static void (*const judgements[])(const struct examined *) = {
    judge_version, judge_room,       judge_round_trip,  judge_clock,      judge_charset,
    judge_idle,    judge_durability, judge_buffer_pool, judge_encryption,
};

/* ---- the server as a whole --------------------------------------------------------------- */

static enum err examine(struct db_scope *scope, struct server_facts *ret_facts)
{
    struct server_facts facts;
    enum err e = examine_server(scope, &facts);

    if (e == OK)
        e = examine_speed(scope, &facts);
    if (e == OK)
        *ret_facts = facts;
    return e;
}

static void judge(struct findings *f, const struct settings *s, struct db *db)
{
    struct server_facts facts;
    struct db_scope scope;
    struct arena arena;
    enum err e;

    arena_init(&arena, FACTS_BYTES);
    scope = db_scope_of(db, &arena);
    e = examine(&scope, &facts);
    if (e == OK) {
        const struct examined c = { f, s, &facts };
        for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
            judgements[i](&c);
    } else
        finding_bad(f, "server", "went away while it was examined (%s)", err_name(e));
    arena_done(&arena);
}

/* What to do about a connection that fails, by what its error says. */
static const struct remedy {
    const char *error, *advice;
} remedies[] = {
    { ": 1044: ", "GRANT ALL ON this database TO DB_USER" },
    { ": 1045: ", "compare DB_USER and DB_PASSWORD with the server's account, and its host part with this machine" },
    { ": 1049: ", "CREATE DATABASE it, CHARACTER SET utf8mb4, and GRANT ALL ON it TO DB_USER" },
    { ": 1040: ", "raise max_connections in my.cnf" },
    { ": 1203: ", "raise max_user_connections in my.cnf" },
    { ": 1226: ", "ALTER USER it WITH MAX_USER_CONNECTIONS 0" },
    { ": 2002: ", "start the server, or mend DB_HOST, DB_PORT or DB_SOCKET" },
    { ": 2003: ", "start the server, or mend DB_HOST and DB_PORT" },
    { ": 2005: ", "mend DB_HOST" },
    { ": 2026: ", "mend the server's certificate, or DB_SSL" },
    { ": 2059: ", "give DB_USER an authentication plugin that this machine's libmariadb has" },
    { ": 2061: ", "DB_SSL=True, or DB_SOCKET: the account's password is only taken over those" },
    { ": 3159: ", "DB_SSL=True: the server takes no connection in clear" },
    { "read-only", "SET GLOBAL read_only = OFF where it is to be written to; my.cnf: read_only = OFF" },
};

static const char *remedy_for(const char *error)
{
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strstr(error, remedies[i].error))
            return remedies[i].advice;
    return "see the server's own log";
}

static const char *error_of(const struct db *db)
{
    return db && db_last_error(db)[0] ? db_last_error(db) : "does not answer";
}

/* A host alone: one of several that is down now is missed when another fails. */
static void check_host(struct findings *f, const struct settings *s, struct str host)
{
    struct db_conf conf = service_probe_conf(s);
    struct db *db;

    conf.hosts = &host;
    conf.host_count = 1;
    db = db_new(&conf);
    if (db && db_ping(db) == OK)
        finding_good("host", STR_FMT " answers, and can be written to", STR_ARG(host));
    else
        finding_warn(f, "host", "%s; %s", error_of(db), remedy_for(error_of(db)));
    db_free(db);
}

void check_server(struct findings *f, const struct settings *s, const struct application *app)
{
    const struct db_conf conf = service_probe_conf(s);
    struct db *db = db_new(&conf);

    for (size_t i = 0; s->db_socket.len == 0 && s->db_host.count > 1 && i < s->db_host.count; i++)
        check_host(f, s, s->db_host.rows[i]);
    if (!db || db_ping(db) != OK)
        finding_bad(f, "database", "%s; %s", error_of(db), remedy_for(error_of(db)));
    else {
        finding_good("database", STR_FMT, STR_ARG(s->db_name));
        judge(f, s, db);
        check_schema(f, db, app);
    }
    db_free(db);
}
