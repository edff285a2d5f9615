/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "fake_server.h"
#include "redis/subscription.h"

enum { PATIENCE_S = 60 };

static uv_loop_t loop;
static struct fake server;
static struct redis_conf conf;
static struct redis_subscription *s;
static const struct str channels[] = { STR("news"), STR("more") };

static struct heard {
    int subscribed, messages;
    char channel[32], payload[32];
    size_t length;
    bool leave;
} heard;

static void on_subscribed(void *arg) { ((struct heard *)arg)->subscribed++; }

static void on_message(void *arg, struct str channel, struct str payload)
{
    struct heard *h = arg;

    h->messages++;
    h->length = payload.len;
    snprintf(h->channel, sizeof(h->channel), STR_FMT, STR_ARG(channel));
    snprintf(h->payload, sizeof(h->payload), STR_FMT, STR_ARG(payload));
    if (h->leave)
        redis_unsubscribe(s);
}

static const struct redis_listener listener = { on_subscribed, on_message, &heard };

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_NONE, LOG_TEXT, "test");
    uv_loop_init(&loop);
    task_use_loop(&loop);
    fake_start(&server, &loop);
    conf = (struct redis_conf){ .path = server.path, .time_limit_ms = 50, .prefix = STR("t:") };
    heard = (struct heard){ 0 };
    s = redis_subscribe(&conf, channels, 2, &listener);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_unsubscribe(s);
    fake_stop(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* The client's timers go on while we wait. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        const uint64_t limit = uv_hrtime() + PATIENCE_S * (uint64_t)NS_PER_S;                                          \
        while (!(condition)) {                                                                                         \
            if (uv_hrtime() > limit)                                                                                   \
                fail_msg("waited in vain for " #condition);                                                            \
            uv_run(&loop, UV_RUN_ONCE);                                                                                \
        }                                                                                                              \
    } while (0)

#define MESSAGE "*3\r\n$7\r\nmessage\r\n$6\r\nt:news\r\n$5\r\nhello\r\n"

static void assert_heard(void)
{
    const int before = heard.messages;

    fake_say(&server, STR(MESSAGE));
    UNTIL(heard.messages > before);
    assert_string_equal(heard.channel, "news");
    assert_string_equal(heard.payload, "hello");
}

static void test_subscribe__to_all_channels_with_the_prefix(void **state)
{
    (void)state;

    UNTIL(heard.subscribed == 1);
    assert_non_null(strstr(server.log, "SUBSCRIBE t:news t:more;"));
    assert_true(redis_is_subscribed(s));
    assert_heard();
}

static void test_subscribe__only_when_each_channel_is_confirmed(void **state)
{
    (void)state;

    server.to_subscribe = "*3\r\n$9\r\nsubscribe\r\n$6\r\nt:news\r\n:1\r\n";
    UNTIL(strstr(server.log, "SUBSCRIBE"));
    fake_say(&server, STR(MESSAGE));
    UNTIL(heard.messages == 1);
    assert_int_equal(heard.subscribed, 0);
    assert_false(redis_is_subscribed(s));
}

static void test_message__of_any_bytes_and_lengths(void **state)
{
    (void)state;

    server.byte_by_byte = true;
    UNTIL(heard.subscribed == 1);
    fake_say(&server, STR("*3\r\n$7\r\nmessage\r\n$6\r\nt:more\r\n$4\r\na\0\r\n\r\n"));
    UNTIL(heard.messages == 1);
    assert_int_equal(heard.length, 4);
    fake_say(&server, STR("*3\r\n$7\r\nmessage\r\n$6\r\nt:more\r\n$0\r\n\r\n"));
    UNTIL(heard.messages == 2);
    assert_int_equal(heard.length, 0);
}

static void test_reconnect__subscribes_again_and_says_so(void **state)
{
    (void)state;

    for (int i = 1; i <= 3; i++) {
        UNTIL(heard.subscribed == i);
        assert_heard();
        fake_hang_up(&server);
        UNTIL(!redis_is_subscribed(s));
    }
    UNTIL(heard.subscribed == 4);
}

static void test_refused__is_away_with_the_reason(void **state)
{
    (void)state;

    server.to_subscribe = "-NOPERM No permissions to access a channel\r\n";
    UNTIL(server.accepted == 2);
    assert_int_equal(heard.subscribed, 0);
    server.to_subscribe = NULL;
    UNTIL(heard.subscribed == 1);
}

/* What no server says; none of it is a message, and none ends the connection. */
static const char *const odd[] = {
    "*0\r\n",
    "*-1\r\n",
    "*1\r\n$7\r\nmessage\r\n",
    "*2\r\n$7\r\nmessage\r\n:5\r\n",
    "*3\r\n$7\r\nmessage\r\n*0\r\n*0\r\n",
    "*3\r\n:7\r\n:7\r\n:7\r\n",
    "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n",
    "*3\r\n$9\r\nsubscribe\r\n$-1\r\n$-1\r\n",
    "*3\r\n$11\r\nunsubscribe\r\n$6\r\nt:news\r\n:0\r\n",
    "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$6\r\nt:news\r\n$1\r\nx\r\n",
    "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
    ":1\r\n",
    "+OK\r\n",
    "$-1\r\n",
};

static void test_hostile__oddities_are_passed_over(void **state)
{
    (void)state;

    UNTIL(heard.subscribed == 1);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        fake_say(&server, str_of(odd[i]));
    assert_heard();
    assert_int_equal(heard.messages, 1);
    assert_int_equal(heard.subscribed, 1);
    assert_int_equal(server.accepted, 1);
}

static void test_hostile__nonsense_costs_the_connection(void **state)
{
    (void)state;

    UNTIL(heard.subscribed == 1);
    fake_say(&server, STR("nonsense\r\n"));
    UNTIL(heard.subscribed == 2);
    assert_heard();
}

static void test_silence__of_a_server_that_vanished_is_noticed(void **state)
{
    (void)state;

    UNTIL(heard.subscribed == 1);
    server.dumb = true;
    UNTIL(!redis_is_subscribed(s));
    server.dumb = false;
    UNTIL(heard.subscribed == 2);
}

static void test_unsubscribe__inside_a_callback(void **state)
{
    (void)state;

    UNTIL(heard.subscribed == 1);
    heard.leave = true;
    fake_say(&server, STR(MESSAGE MESSAGE MESSAGE));
    UNTIL(heard.messages == 1);
    s = NULL;
    UNTIL(!server.client);
    assert_int_equal(heard.messages, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_subscribe__to_all_channels_with_the_prefix),
        TEST(test_subscribe__only_when_each_channel_is_confirmed),
        TEST(test_message__of_any_bytes_and_lengths),
        TEST(test_reconnect__subscribes_again_and_says_so),
        TEST(test_refused__is_away_with_the_reason),
        TEST(test_hostile__oddities_are_passed_over),
        TEST(test_hostile__nonsense_costs_the_connection),
        TEST(test_silence__of_a_server_that_vanished_is_noticed),
        TEST(test_unsubscribe__inside_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
