/* SPDX-License-Identifier: MIT */
/* The database server against the node's settings, at the start: the service runs
 * with fewer connections than it may open, but then requests wait or fail in the
 * very rush that the overflow is for. So it is said before. */
#include "app/service_parts.h"
#include "base/log.h"
#include "db/examine.h"

enum { FACTS_BYTES = 256 * 1024 };

struct db_conf service_probe_conf(const struct settings *s)
{
    struct db_conf conf = service_db_conf(s);

    conf.pool_size = 1;
    conf.max_overflow = 0;
    conf.pool_warm = false;
    conf.slow_query_ms = 0;
    return conf;
}

static enum err examine(const struct settings *s, struct arena *arena, struct server_facts *ret_facts)
{
    const struct db_conf conf = service_probe_conf(s);
    struct db *db = db_new(&conf);
    enum err e = E_NO_MEMORY;

    if (db) {
        struct db_scope scope = db_scope_of(db, arena);
        e = examine_server(&scope, ret_facts);
    }
    db_free(db);
    return e;
}

static void tell_room(const struct settings *s, const struct server_facts *facts)
{
    const int64_t wanted = (int64_t)s->db_pool_size + s->db_max_overflow, room = facts_room(facts);
    char line[FACTS_LINE_SIZE];

    if (room == FACT_UNKNOWN || room >= wanted)
        return;
    facts_room_line(facts, wanted, line);
    log_event(LOG_WARNING,
              "the database server has room for fewer connections than DB_POOL_SIZE and DB_MAX_OVERFLOW together;"
              " raise it in my.cnf, or lower those",
              LOG_I("room", room), LOG_I("pool", s->db_pool_size), LOG_I("overflow", s->db_max_overflow),
              LOG_I("max_connections", facts->max_connections), LOG_I("held_by_others", facts_others(facts)),
              LOG_I("max_user_connections", facts->max_user_connections), LOG_C("my_cnf", line));
}

/* That the server cannot be asked is no reason not to start: it was there a
 * moment ago, to be migrated, and the workers' pools say what it lacks. */
bool service_look_at_server(const struct settings *s)
{
    struct server_facts facts;
    struct arena arena;

    if (s->db_driver == DB_DRIVER_SQLITE)
        return true;
    arena_init(&arena, FACTS_BYTES);
    if (examine(s, &arena, &facts) == OK)
        tell_room(s, &facts);
    arena_done(&arena);
    return true;
}
