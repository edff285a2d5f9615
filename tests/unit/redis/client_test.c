/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coro.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "fake_server.h"
#include "redis/redis.h"

enum { PATIENCE_S = 60, LIMIT_MS = 50, LONG_MS = 30000, ARENA_BYTES = 16 * 1024 * 1024 };

static uv_loop_t loop;
static struct coro_pool *coros;
static struct fake server;
static struct redis_conf conf;
static struct redis *r;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    uv_loop_init(&loop);
    task_use_loop(&loop);
    coros = coro_pool_new(256 * 1024, 4);
    arena_init(&arena, ARENA_BYTES);
    fake_start(&server, &loop);
    conf = (struct redis_conf){ .path = server.path, .time_limit_ms = LONG_MS, .prefix = STR("t:") };
    r = NULL;
    return 0;
}

/* Whatever happened: nothing of ours is left on the loop. */
static int teardown(void **state)
{
    (void)state;
    redis_free(r);
    fake_stop(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(coro_pool_active(coros), 0);
    coro_pool_free(coros);
    arena_done(&arena);
    return 0;
}

/* Runs the loop until something holds. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        const uint64_t limit = uv_hrtime() + PATIENCE_S * (uint64_t)NS_PER_S;                                          \
        while (!(condition)) {                                                                                         \
            if (uv_hrtime() > limit)                                                                                   \
                fail_msg("waited in vain for " #condition);                                                            \
            run_a_while(1);                                                                                            \
        }                                                                                                              \
    } while (0)

static void on_tick(uv_timer_t *t) { uv_close((uv_handle_t *)t, NULL); }

static void run_a_while(uint64_t ms)
{
    uv_timer_t timer;

    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_tick, ms, 0);
    while (uv_is_active((uv_handle_t *)&timer) || uv_is_closing((uv_handle_t *)&timer)) {
        uv_run(&loop, UV_RUN_ONCE);
        if (uv_is_closing((uv_handle_t *)&timer) && !uv_is_active((uv_handle_t *)&timer))
            break;
    }
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void connect_client(void)
{
    r = redis_new(&conf);
    assert_non_null(r);
    UNTIL(redis_is_up(r));
}

static uint64_t counter(enum metric_counter id)
{
    return atomic_load_explicit(&metrics_page()->counters[id], memory_order_relaxed);
}

/* ---- one command of a coroutine --------------------------------------------------------- */

struct caller {
    const struct redis_command *command;
    struct coro *coro;
    bool ended;
    enum err result;
    struct redis_value value;
    uint64_t took_ms;
};

static void calls(void *arg)
{
    struct caller *c = arg;
    const uint64_t since = uv_hrtime();

    c->result = redis_call(r, c->command, &arena, &c->value);
    c->took_ms = (uv_hrtime() - since) / NS_PER_MS;
    c->ended = true;
}

static void begin(struct caller *c, const struct redis_command *command)
{
    *c = (struct caller){ .command = command };
    assert_int_equal(coro_start(coros, calls, c, &c->coro), OK);
}

static enum err call(const struct redis_command *command, struct caller *c)
{
    begin(c, command);
    UNTIL(c->ended);
    return c->result;
}

#define GET REDIS_COMMAND(RA_TEXT("GET"), RA_KEY(STR("k")))

static enum err get_with(struct caller *c, const char *reply)
{
    server.to_others = str_of(reply);
    return call(GET, c);
}

static void assert_in_step(void)
{
    struct caller c;

    conf.time_limit_ms = LONG_MS;
    assert_int_equal(get_with(&c, "$4\r\nstep\r\n"), OK);
    assert_true(str_eq(redis_text(&c.value), STR("step")));
}

/* ---- answers ------------------------------------------------------------------------------ */

static void test_call__text_number_nil_and_array(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    server.to_others = STR("$5\r\na\0\r\nb\r\n");
    assert_int_equal(call(GET, &c), OK);
    assert_true(str_eq(redis_text(&c.value), STR("a\0\r\nb")));
    assert_int_equal(get_with(&c, ":-42\r\n"), OK);
    assert_int_equal(redis_int(&c.value, 0), -42);
    assert_int_equal(get_with(&c, "$-1\r\n"), OK);
    assert_int_equal(c.value.kind, REDIS_NIL);
    assert_int_equal(get_with(&c, "*3\r\n:1\r\n*1\r\n+two\r\n-ERR three\r\n"), OK);
    assert_int_equal(redis_int(redis_item(&c.value, 0), 0), 1);
    assert_true(str_eq(redis_text(redis_item(redis_item(&c.value, 1), 0)), STR("two")));
    assert_int_equal(redis_item(&c.value, 2)->kind, REDIS_ERROR);
    assert_int_equal(redis_item(&c.value, 3)->kind, REDIS_NIL);
}

static void test_call__byte_by_byte(void **state)
{
    struct caller c;
    (void)state;

    server.byte_by_byte = true;
    connect_client();
    assert_int_equal(get_with(&c, "*2\r\n$3\r\nabc\r\n:7\r\n"), OK);
    assert_int_equal(redis_int(redis_item(&c.value, 1), 0), 7);
    assert_in_step();
}

static void test_call__prefixes_keys_and_only_keys(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    server.log[0] = '\0';
    server.to_others = STR("+OK\r\n");
    assert_int_equal(call(REDIS_COMMAND(RA_TEXT("SET"), RA_KEY(STR("k")), RA_STR(STR("v")), RA_INT(-5)), &c), OK);
    assert_string_equal(server.log, "SET t:k v -5;");
}

static const struct {
    const char *reply;
    enum err err;
} refusals[] = {
    { "-OOM command not allowed when used memory > 'maxmemory'.\r\n", E_DISK_FULL },
    { "-READONLY You can't write against a read only replica.\r\n", E_READ_ONLY },
    { "-MISCONF Redis is configured to save RDB snapshots\r\n", E_READ_ONLY },
    { "-WRONGTYPE Operation against a key\r\n", E_CONFLICT },
    { "-LOADING Redis is loading the dataset in memory\r\n", E_UNAVAILABLE },
    { "-NOPERM this user\r\n", E_UNAVAILABLE },
    { "-ERR unknown command 'x'\r\n", E_INTERNAL },
    { "-\r\n", E_INTERNAL },
    { "-NOSCRIPT No matching script.\r\n", E_INTERNAL },
};

static void test_call__a_refusal_is_an_error(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        assert_int_equal(get_with(&c, refusals[i].reply), refusals[i].err);
    assert_in_step();
    assert_int_equal(server.accepted, 1);
}

/* ---- hostile answers --------------------------------------------------------------------------- */

/* Those after which nobody knows where the next answer begins. */
static const char *const broken[] = {
    "$-2\r\n",
    "$9999999999999999999\r\n",
    "$1x\r\n",
    "$\r\n",
    "*-2\r\n",
    "*2147483648\r\n",
    "*x\r\n",
    ":12a\r\n",
    ":99999999999999999999\r\n",
    ":\r\n",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\r\n",
    ">2\r\n+message\r\n+x\r\n",
    "%1\r\n+a\r\n+b\r\n",
    "_\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
};

static void test_hostile__nonsense_costs_the_connection(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        const size_t before = server.accepted;

        if (get_with(&c, broken[i]) != E_UNAVAILABLE)
            fail_msg("%s: %s", broken[i], err_name(c.result));
        assert_false(redis_is_up(r));
        UNTIL(redis_is_up(r));
        assert_int_equal(server.accepted, before + 1);
        redis_free(r); /* without the pauses that grow */
        connect_client();
    }
    assert_in_step();
}

/* Those that never end: the time limit does. */
static const char *const endless[] = {
    "$9223372036854775807\r\nabc", "$100\r\nabc", "*2147483647\r\n:1\r\n", "*3\r\n:1\r\n", "+no end", "$", "*"
};

static void test_hostile__an_answer_without_an_end_is_a_timeout(void **state)
{
    struct caller c;
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
        connect_client();
        assert_int_equal(get_with(&c, endless[i]), E_TIMEOUT);
        redis_free(r);
        r = NULL;
    }
}

static char *long_text(struct buf *b, size_t length)
{
    buf_init(b, length + 64);
    buf_printf(b, "$%zu\r\n", length);
    memset(buf_room(b, length), 'x', length);
    buf_added(b, length);
    buf_cstr(b, "\r\n");
    return b->ptr;
}

static void test_hostile__too_large_a_text_is_an_error_and_keeps_the_connection(void **state)
{
    struct caller c;
    struct buf b;
    (void)state;

    connect_client();
    long_text(&b, REDIS_VALUE_BYTES + 1);
    server.to_others = buf_view(&b);
    assert_int_equal(call(GET, &c), E_TOO_LARGE);
    buf_done(&b);
    assert_in_step();
    assert_int_equal(server.accepted, 1);
}

static void test_hostile__what_cannot_be_held_costs_the_connection(void **state)
{
    struct caller c;
    struct buf b;
    (void)state;

    connect_client();
    long_text(&b, 9 * 1024 * 1024);
    server.to_others = buf_view(&b);
    assert_int_equal(call(GET, &c), E_UNAVAILABLE);
    assert_string_equal(redis_why_away(r), "an answer is too large");
    buf_done(&b);
    UNTIL(redis_is_up(r));
    assert_in_step();
}

static void test_hostile__too_many_items_is_an_error_and_keeps_the_connection(void **state)
{
    struct caller c;
    struct buf b;
    (void)state;

    connect_client();
    buf_init(&b, 1024 * 1024);
    buf_printf(&b, "*2\r\n*%d\r\n", REDIS_ITEMS_MAX + 1);
    for (int i = 0; i <= REDIS_ITEMS_MAX; i++)
        buf_cstr(&b, i % 2 ? "$1\r\nx\r\n" : "*1\r\n*0\r\n");
    buf_cstr(&b, ":5\r\n");
    server.to_others = buf_view(&b);
    assert_int_equal(call(GET, &c), E_TOO_LARGE);
    buf_done(&b);
    assert_in_step();
    assert_int_equal(server.accepted, 1);
}

static void test_hostile__many_small_arrays_have_a_bound_together(void **state)
{
    struct caller c;
    struct buf b;
    (void)state;

    connect_client();
    buf_init(&b, 8 * 1024 * 1024);
    buf_printf(&b, "*%d\r\n", REDIS_ITEMS_MAX);
    for (int i = 0; i < REDIS_ITEMS_MAX; i++) {
        buf_printf(&b, "*%d\r\n", REDIS_ITEMS_MAX);
        for (int k = 0; k < REDIS_ITEMS_MAX; k++)
            buf_cstr(&b, ":1\r\n");
    }
    server.to_others = buf_view(&b);
    assert_int_equal(call(GET, &c), E_TOO_LARGE);
    buf_done(&b);
    assert_in_step();
}

static void test_hostile__an_answer_to_nothing_costs_the_connection(void **state)
{
    (void)state;

    connect_client();
    fake_say(&server, STR("+OK\r\n"));
    UNTIL(!redis_is_up(r));
    assert_string_equal(redis_why_away(r), "it said what nobody had asked for");
    UNTIL(redis_is_up(r));
    assert_in_step();
}

static void test_hostile__an_error_to_nothing_is_the_reason(void **state)
{
    (void)state;

    connect_client();
    fake_say(&server, STR("-ERR max number of clients reached\r\n"));
    fake_hang_up(&server);
    UNTIL(!redis_is_up(r));
    assert_string_equal(redis_why_away(r), "ERR max number of clients reached");
    UNTIL(redis_is_up(r));
}

static void test_hostile__the_end_in_the_middle_of_an_answer(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    server.to_others = STR_EMPTY;
    begin(&c, GET);
    UNTIL(strstr(server.log, "GET"));
    fake_say(&server, STR("*2\r\n$3\r\nab"));
    run_a_while(20);
    fake_hang_up(&server);
    UNTIL(c.ended);
    assert_int_equal(c.result, E_UNAVAILABLE);
    UNTIL(redis_is_up(r));
    assert_in_step();
}

/* ---- one connection for all ------------------------------------------------------------------------ */

struct tally {
    int answers, good, bad;
    enum err last;
};

static void count(void *arg, enum err e, const struct redis_value *v)
{
    struct tally *t = arg;

    assert_true(e != OK || v != NULL);
    t->answers++;
    t->good += e == OK;
    t->bad += e != OK;
    t->last = e;
}

static void test_send__the_commands_of_a_turn_are_one_write(void **state)
{
    struct tally t = { 0 };
    size_t before;
    (void)state;

    connect_client();
    server.to_others = STR(":1\r\n");
    before = server.reads;
    for (int i = 0; i < 500; i++)
        assert_int_equal(redis_send(r, GET, count, &t), OK);
    UNTIL(t.answers == 500);
    assert_int_equal(t.good, 500);
    assert_int_equal(server.reads, before + 1);
    assert_int_equal(server.accepted, 1);
}

static void on_number(void *arg, enum err e, const struct redis_value *v)
{
    int *next = arg;

    assert_int_equal(e, OK);
    assert_int_equal(redis_int(v, -1), (*next)++);
}

static void test_send__answers_come_in_order(void **state)
{
    int next = 0;
    char text[16];
    (void)state;

    connect_client();
    server.to_others = STR_EMPTY;
    for (int i = 0; i < 100; i++)
        assert_int_equal(redis_send(r, GET, on_number, &next), OK);
    UNTIL(server.commands >= 101);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), ":%d\r\n", i);
        fake_say(&server, str_of(text));
    }
    UNTIL(next == 100);
}

/* ---- time limits --------------------------------------------------------------------------------------- */

static void test_limit__a_late_answer_is_dropped_and_all_stays_in_step(void **state)
{
    struct caller c;
    const uint64_t before = counter(M_REDIS_TIMEOUTS);
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    assert_int_equal(get_with(&c, ""), E_TIMEOUT);
    assert_true(c.took_ms >= LIMIT_MS);
    fake_say(&server, STR("$4\r\nlate\r\n"));
    assert_in_step();
    assert_int_equal(counter(M_REDIS_TIMEOUTS), before + 1);
    assert_int_equal(server.accepted, 1);
}

static void block(uint64_t ms)
{
    const uint64_t until = uv_hrtime() + ms * NS_PER_MS;

    while (uv_hrtime() < until)
        ;
}

/* We were busy, and it has answered meanwhile. */
static void test_limit__an_answer_that_waits_for_us_is_in_time(void **state)
{
    struct tally t = { 0 };
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    server.to_others = STR_EMPTY;
    for (int i = 0; i < 10; i++)
        assert_int_equal(redis_send(r, GET, count, &t), OK);
    UNTIL(server.commands >= 11);
    fake_say(&server, STR(":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"));
    block(2 * LIMIT_MS);
    UNTIL(t.answers == 10);
    assert_int_equal(t.good, 10);
}

static void test_limit__a_loop_that_is_late_itself_says_nothing_of_the_server(void **state)
{
    struct tally t = { 0 };
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(redis_send(r, GET, count, &t), OK);
        block(2 * LIMIT_MS); /* it is not even written */
        UNTIL(t.answers == i + 1);
        assert_int_equal(t.last, E_TIMEOUT);
    }
    assert_true(redis_is_up(r));
}

static void test_limit__a_cancelled_caller_leaves_at_once(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    server.to_others = STR_EMPTY;
    begin(&c, GET);
    assert_false(c.ended);
    coro_cancel(c.coro);
    assert_true(c.ended);
    assert_int_equal(c.result, E_CANCELLED);
    UNTIL(strstr(server.log, "GET"));
    fake_say(&server, STR("$4\r\nlate\r\n"));
    assert_in_step();
}

static void cancels(void *arg)
{
    const struct caller *c = arg;

    coro_cancel(c->coro);
    redis_free(r); /* answers it before it had a turn to leave */
}

static void test_limit__cancelled_and_answered_at_once(void **state)
{
    struct caller c;
    (void)state;

    connect_client();
    server.to_others = STR_EMPTY;
    begin(&c, GET);
    assert_int_equal(coro_start(coros, cancels, &c, NULL), OK);
    assert_true(c.ended);
    assert_int_equal(c.result, E_CANCELLED);
    r = NULL;
}

static void test_mute__after_some_timeouts_nobody_waits_until_it_answers_again(void **state)
{
    struct caller c;
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    server.dumb = true;
    for (int i = 0; i < 200 && redis_is_up(r); i++)
        assert_int_equal(call(GET, &c), E_TIMEOUT);
    assert_false(redis_is_up(r));
    assert_string_equal(redis_why_away(r), "it does not answer in time");
    assert_int_equal(call(GET, &c), E_UNAVAILABLE);
    run_a_while(300); /* it has been asked for a sign of life by then */
    assert_false(redis_is_up(r));
    server.dumb = false;
    for (size_t i = server.commands; i > 1; i--) /* all but the greeting's PING have no answer yet */
        fake_say(&server, STR("$4\r\nlate\r\n"));
    UNTIL(redis_is_up(r));
    assert_in_step();
    assert_int_equal(server.accepted, 1);
}

static void test_mute__under_load_it_takes_a_while(void **state)
{
    struct tally t = { 0 };
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    server.dumb = true;
    for (int i = 0; i < 100; i++)
        assert_int_equal(redis_send(r, GET, count, &t), OK);
    UNTIL(t.answers == 100);
    assert_int_equal(t.last, E_TIMEOUT);
    assert_true(redis_is_up(r)); /* many, but of one moment */
}

/* ---- bounds of what is sent ------------------------------------------------------------------------------- */

static void test_send__a_server_that_takes_nothing_is_not_given_more(void **state)
{
    struct tally t = { 0 };
    static char megabyte[1024 * 1024];
    enum err e = OK;
    int sent = 0;
    (void)state;

    connect_client();
    fake_be_deaf(&server);
    while (e == OK && sent < 100) {
        e = redis_send(
            r, REDIS_COMMAND(RA_TEXT("SET"), RA_KEY(STR("k")), RA_STR(((struct str){ megabyte, sizeof(megabyte) }))),
            count, &t);
        sent += e == OK;
        run_a_while(1);
    }
    assert_int_equal(e, E_BUSY);
    assert_true(sent >= 4 && sent < 20);
    redis_free(r);
    r = NULL;
    assert_int_equal(t.bad, sent);
}

static void test_send__too_much_for_a_command(void **state)
{
    struct tally t = { 0 };
    char *large = calloc(1, REDIS_COMMAND_BYTES);
    struct redis_arg args[REDIS_ARGS_MAX + 1];
    (void)state;

    connect_client();
    assert_int_equal(redis_send(r, REDIS_COMMAND(RA_STR(((struct str){ large, REDIS_COMMAND_BYTES }))), count, &t),
                     E_TOO_LARGE);
    for (size_t i = 0; i <= REDIS_ARGS_MAX; i++)
        args[i] = (struct redis_arg)RA_TEXT("x");
    assert_int_equal(redis_send(r, &(struct redis_command){ .args = args, .count = REDIS_ARGS_MAX + 1 }, count, &t),
                     E_TOO_LARGE);
    free(large);
    assert_in_step();
    assert_int_equal(t.answers, 0);
}

/* ---- the greeting -------------------------------------------------------------------------------------------- */

static void test_greeting__says_who_we_are_in_one_write(void **state)
{
    (void)state;

    conf.user = "keeper";
    conf.password = "a secret";
    conf.database = 3;
    conf.client_name = "sanad";
    connect_client();
    assert_string_equal(server.log, "AUTH keeper a secret;SELECT 3;CLIENT SETNAME sanad;PING;");
    assert_int_equal(server.reads, 1);
}

static void test_greeting__a_password_alone(void **state)
{
    (void)state;

    conf.password = "a secret";
    connect_client();
    assert_string_equal(server.log, "AUTH a secret;PING;");
}

static void assert_refused(const char *why)
{
    struct caller c;

    r = redis_new(&conf);
    UNTIL(redis_why_away(r)[0] != '\0');
    assert_false(redis_is_up(r));
    assert_string_equal(redis_why_away(r), why);
    assert_int_equal(call(GET, &c), E_UNAVAILABLE);
}

static void test_greeting__a_wrong_password_is_the_servers_reason(void **state)
{
    (void)state;

    conf.password = "a secret";
    server.to_auth = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    server.to_ping = "-NOAUTH Authentication required.\r\n";
    assert_refused("WRONGPASS invalid username-password pair or user is disabled.");
    server.to_auth = server.to_ping = NULL;
    UNTIL(redis_is_up(r));
}

static void test_greeting__a_reason_that_quotes_the_password_is_not_told(void **state)
{
    (void)state;

    conf.password = "a secret";
    server.to_auth = "-ERR unknown command 'AUTH', with args beginning with: 'a secret' \r\n";
    assert_refused("it does not accept the password");
}

static void test_greeting__a_wrong_database(void **state)
{
    (void)state;

    conf.database = 99;
    server.to_select = "-ERR DB index is out of range\r\n";
    assert_refused("ERR DB index is out of range");
}

static void test_greeting__a_server_that_loads_is_away(void **state)
{
    (void)state;

    server.to_ping = "-LOADING Redis is loading the dataset in memory\r\n";
    assert_refused("LOADING Redis is loading the dataset in memory");
    server.to_ping = NULL;
    UNTIL(redis_is_up(r));
}

static void test_greeting__one_that_may_not_ping_is_served(void **state)
{
    (void)state;

    server.to_ping = "-NOPERM this user has no permissions to run the 'ping' command\r\n";
    connect_client();
    assert_in_step();
}

static void test_greeting__a_server_that_accepts_and_is_silent_is_away(void **state)
{
    (void)state;

    server.dumb = true;
    assert_refused("it does not answer");
}

/* ---- away and back ---------------------------------------------------------------------------------------------- */

static void test_away__every_command_fails_at_once_and_one_attempt_is_made_at_a_time(void **state)
{
    struct caller c;
    const uint64_t before = counter(M_REDIS_UNAVAILABLE), reconnects = counter(M_REDIS_RECONNECTS);
    (void)state;

    connect_client();
    fake_hang_up(&server);
    fake_refuse(&server);
    UNTIL(!redis_is_up(r));
    for (int i = 0; i < 10; i++)
        assert_int_equal(call(GET, &c), E_UNAVAILABLE);
    assert_int_equal(counter(M_REDIS_UNAVAILABLE), before + 10);
    assert_true(redis_away_ms(r) >= 0);
    run_a_while(50);
    fake_listen(&server);
    UNTIL(redis_is_up(r));
    assert_int_equal(server.accepted, 2);
    assert_int_equal(counter(M_REDIS_RECONNECTS), reconnects + 1);
    assert_in_step();
}

static void test_away__commands_under_way_are_told(void **state)
{
    struct tally t = { 0 };
    (void)state;

    connect_client();
    server.to_others = STR_EMPTY;
    for (int i = 0; i < 10; i++)
        assert_int_equal(redis_send(r, GET, count, &t), OK);
    UNTIL(server.commands >= 11);
    fake_hang_up(&server);
    UNTIL(t.answers == 10);
    assert_int_equal(t.last, E_UNAVAILABLE);
}

static void test_away__a_host_is_looked_up(void **state)
{
    (void)state;

    conf.path = NULL;
    conf.host = "localhost";
    conf.port = 1; /* nobody listens there */
    r = redis_new(&conf);
    UNTIL(redis_why_away(r)[0] != '\0');
    assert_string_equal(redis_why_away(r), "connection refused");
    assert_string_equal(redis_place(r), "localhost:1");
}

/* ---- freeing ------------------------------------------------------------------------------------------------------
 */

static void free_in_callback(void *arg, enum err e, const struct redis_value *v)
{
    count(arg, e, v);
    redis_free(r);
}

static void test_free__inside_a_callback(void **state)
{
    struct tally t = { 0 };
    (void)state;

    connect_client();
    server.to_others = STR("$1\r\nx\r\n");
    for (int i = 0; i < 5; i++)
        assert_int_equal(redis_send(r, GET, free_in_callback, &t), OK);
    UNTIL(t.answers == 5);
    assert_int_equal(t.good, 1);
    r = NULL;
}

static void test_free__inside_a_timeout(void **state)
{
    struct tally t = { 0 };
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_client();
    server.to_others = STR_EMPTY;
    for (int i = 0; i < 5; i++)
        assert_int_equal(redis_send(r, GET, free_in_callback, &t), OK);
    UNTIL(t.answers == 5);
    r = NULL;
}

static void test_free__while_it_connects(void **state)
{
    (void)state;

    for (int i = 0; i < 5; i++) {
        r = redis_new(&conf);
        for (int k = 0; k < i; k++)
            uv_run(&loop, UV_RUN_NOWAIT);
        redis_free(r);
        r = NULL;
    }
    conf.path = NULL;
    conf.host = "localhost";
    conf.port = 1;
    r = redis_new(&conf); /* freed while the name is looked up */
}

/* ---- functions
 * ------------------------------------------------------------------------------------------------------- */

static const struct redis_script script = { "add", "return redis.call('INCR', KEYS[1])" };
#define ADD REDIS_EVAL(&script, RA_KEY(STR("a")), RA_KEY(STR("b")), RA_INT(5))

static void connect_with_script(void)
{
    r = redis_new(&conf);
    assert_int_equal(redis_add_script(r, &script), OK);
    assert_int_equal(redis_add_script(r, &script), OK);
    UNTIL(redis_is_up(r));
}

static void test_eval__calls_by_hash(void **state)
{
    struct caller c;
    (void)state;

    connect_with_script();
    server.log[0] = '\0';
    server.to_eval = ":6\r\n";
    assert_int_equal(call(ADD, &c), OK);
    assert_int_equal(redis_int(&c.value, 0), 6);
    assert_string_equal(server.log, "EVALSHA 0123456789012345678901234567890123456789 2 t:a t:b 5;");
    assert_int_equal(server.loads, 1);
}

static void test_eval__a_function_that_was_lost_is_loaded_and_called_again(void **state)
{
    struct caller c;
    (void)state;

    connect_with_script();
    server.to_eval = "";
    begin(&c, ADD);
    UNTIL(server.evals == 1);
    server.to_eval = ":7\r\n";
    fake_say(&server, STR("-NOSCRIPT No matching script. Please use EVAL.\r\n"));
    UNTIL(c.ended);
    assert_int_equal(c.result, OK);
    assert_int_equal(redis_int(&c.value, 0), 7);
    assert_int_equal(server.loads, 2);
    assert_int_equal(server.evals, 2);
}

static void test_eval__many_lost_at_once_load_it_once(void **state)
{
    struct tally t = { 0 };
    (void)state;

    connect_with_script();
    server.to_eval = "";
    for (int i = 0; i < 50; i++)
        assert_int_equal(redis_send(r, ADD, count, &t), OK);
    UNTIL(server.evals == 50);
    server.to_eval = ":7\r\n";
    for (int i = 0; i < 50; i++)
        fake_say(&server, STR("-NOSCRIPT No matching script.\r\n"));
    UNTIL(t.answers == 50);
    assert_int_equal(t.good, 50);
    assert_true(server.loads <= 3);
}

static void test_eval__is_repeated_once(void **state)
{
    struct caller c;
    (void)state;

    connect_with_script();
    server.to_eval = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
    assert_int_equal(call(ADD, &c), E_INTERNAL);
    assert_int_equal(server.evals, 2);
}

static void test_eval__within_its_time_limit(void **state)
{
    struct caller c;
    (void)state;

    conf.time_limit_ms = LIMIT_MS;
    connect_with_script();
    server.to_eval = "";
    begin(&c, ADD);
    UNTIL(server.evals == 1);
    server.dumb = true;
    fake_say(&server, STR("-NOSCRIPT No matching script. Please use EVAL.\r\n"));
    UNTIL(c.ended);
    assert_int_equal(c.result, E_TIMEOUT);
}

static void test_eval__a_function_that_is_refused_is_unavailable(void **state)
{
    struct caller c;
    (void)state;

    server.to_load = "-NOPERM this user has no permissions to run the 'script|load' command\r\n";
    connect_with_script();
    assert_int_equal(call(ADD, &c), E_UNAVAILABLE);
    assert_in_step();
    server.to_load = "$3\r\nabc\r\n"; /* no hash */
    fake_hang_up(&server);
    UNTIL(!redis_is_up(r));
    UNTIL(redis_is_up(r));
    assert_int_equal(call(ADD, &c), E_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call__text_number_nil_and_array),
        TEST(test_call__byte_by_byte),
        TEST(test_call__prefixes_keys_and_only_keys),
        TEST(test_call__a_refusal_is_an_error),
        TEST(test_hostile__nonsense_costs_the_connection),
        TEST(test_hostile__an_answer_without_an_end_is_a_timeout),
        TEST(test_hostile__too_large_a_text_is_an_error_and_keeps_the_connection),
        TEST(test_hostile__what_cannot_be_held_costs_the_connection),
        TEST(test_hostile__too_many_items_is_an_error_and_keeps_the_connection),
        TEST(test_hostile__many_small_arrays_have_a_bound_together),
        TEST(test_hostile__an_answer_to_nothing_costs_the_connection),
        TEST(test_hostile__an_error_to_nothing_is_the_reason),
        TEST(test_hostile__the_end_in_the_middle_of_an_answer),
        TEST(test_send__the_commands_of_a_turn_are_one_write),
        TEST(test_send__answers_come_in_order),
        TEST(test_limit__a_late_answer_is_dropped_and_all_stays_in_step),
        TEST(test_limit__an_answer_that_waits_for_us_is_in_time),
        TEST(test_limit__a_loop_that_is_late_itself_says_nothing_of_the_server),
        TEST(test_limit__a_cancelled_caller_leaves_at_once),
        TEST(test_limit__cancelled_and_answered_at_once),
        TEST(test_mute__after_some_timeouts_nobody_waits_until_it_answers_again),
        TEST(test_mute__under_load_it_takes_a_while),
        TEST(test_send__a_server_that_takes_nothing_is_not_given_more),
        TEST(test_send__too_much_for_a_command),
        TEST(test_greeting__says_who_we_are_in_one_write),
        TEST(test_greeting__a_password_alone),
        TEST(test_greeting__a_wrong_password_is_the_servers_reason),
        TEST(test_greeting__a_reason_that_quotes_the_password_is_not_told),
        TEST(test_greeting__a_wrong_database),
        TEST(test_greeting__a_server_that_loads_is_away),
        TEST(test_greeting__one_that_may_not_ping_is_served),
        TEST(test_greeting__a_server_that_accepts_and_is_silent_is_away),
        TEST(test_away__every_command_fails_at_once_and_one_attempt_is_made_at_a_time),
        TEST(test_away__commands_under_way_are_told),
        TEST(test_away__a_host_is_looked_up),
        TEST(test_free__inside_a_callback),
        TEST(test_free__inside_a_timeout),
        TEST(test_free__while_it_connects),
        TEST(test_eval__calls_by_hash),
        TEST(test_eval__a_function_that_was_lost_is_loaded_and_called_again),
        TEST(test_eval__many_lost_at_once_load_it_once),
        TEST(test_eval__is_repeated_once),
        TEST(test_eval__within_its_time_limit),
        TEST(test_eval__a_function_that_is_refused_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
