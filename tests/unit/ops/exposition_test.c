/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/server.h"

/* The server of these tests: only its routes. */
static struct router *routes_of_tests;
const struct router *fake_router(const struct server *s);
const struct router *fake_router(const struct server *s)
{
    (void)s;
    return routes_of_tests;
}
#define server_router fake_router
#include "ops/exposition.c"

#include "db/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct response no_handler(struct request *req)
{
    (void)req;
    return response_empty(204);
}

static const struct route routes[] = {
    { .method = HTTP_GET, .path = "/api/spas/{id}", .handler = no_handler },
    { .method = HTTP_GET, .path = "/metrics", .handler = no_handler, .params = metrics_params },
};
static const struct db_statement spa_by_id = { .name = "spa_by_id", .sql = "SELECT 1", .kind = DB_READ };
static const struct db_statement *const statements[] = { &spa_by_id };

enum { PAGES = 2 };
static struct metrics_page *pages;
static struct worker_slots slots;
static struct worker worker;
static struct http_head head;
static struct request req;

static void come_from(const char *client)
{
    req.client = (struct client_address){ .via_proxy = false };
    assert_int_equal(address_parse(str_of(client), &req.client.address), OK);
}

static int start(void **state)
{
    (void)state;
    pages = calloc(PAGES, sizeof(*pages));
    slots_init(&slots, PAGES);
    slots.rows[0].pid = getpid();
    slots.rows[0].restarts = 3;
    slot_move(&slots.rows[0], WORKER_STARTING);
    slot_move(&slots.rows[0], WORKER_READY);
    slot_beat(&slots.rows[0]);
    worker = (struct worker){ .slots = &slots, .pages = pages, .page_count = PAGES };
    struct str bad;
    assert_int_equal(cidr_list_parse(STR("127.0.0.0/8, ::1"), &worker.conf.metrics_allow, &bad), OK);
    head = (struct http_head){ .method = HTTP_GET };
    req = (struct request){ .app = &worker, .head = &head, .route = &routes[1] };
    come_from("127.0.0.1");
    arena_init(&req.arena, 16 << 20);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    metrics_use_page(NULL);
    arena_done(&req.arena);
    free(pages);
    return 0;
}

/* What worker `page` sees. */
static void observe(int page, unsigned route, unsigned status, int ms)
{
    metrics_use_page(&pages[page]);
    metric_series_observe(SERIES_HTTP, route, HTTP_GET, status, (mono_ns)ms * NS_PER_MS);
}

static void ask(const char *name, const char *value)
{
    head.fields[head.field_count++] = (struct http_field){ str_of(name), str_of(value) };
}

/* The body as a C string. */
static const char *show(void)
{
    const struct response res = metrics_show(&req);

    assert_int_equal(res.status, 200);
    const struct str copy = arena_str(&req.arena, res.body);
    assert_non_null(copy.ptr);
    return copy.ptr;
}

static const char *show_prometheus(void)
{
    head.field_count = 0;
    ask("Accept", "text/plain");
    return show();
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no <%s> in <%s>", part, text);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

/* --- JSON ------------------------------------------------------------------------------ */

static void test_metrics_show__json_begins_with_the_pool_of_the_node(void **state)
{
    (void)state;
    for (int i = 0; i < PAGES; i++) {
        metrics_use_page(&pages[i]);
        metric_gauge_set(M_POOL_SIZE, 25);
        metric_gauge_set(M_POOL_IDLE, 20);
        metric_gauge_set(M_POOL_USED, 4 + i);
        metric_add(M_POOL_INVALID, 1);
    }
    const char *text = show();
    static const char expected[] =
        "{\"pool_size\":50,\"checked_in\":40,\"checked_out\":9,\"overflow\":0,\"invalid\":2,";
    assert_int_equal(strncmp(text, expected, sizeof(expected) - 1), 0);
}

static void test_metrics_show__overflow_is_never_negative(void **state)
{
    (void)state;
    metrics_use_page(&pages[0]);
    metric_gauge_set(M_POOL_OVERFLOW, -3);
    assert_holds(show(), "\"overflow\":0,\"invalid\"");
}

static void test_metrics_show__json_sums_routes_over_workers_and_statuses(void **state)
{
    (void)state;
    observe(0, 0, 200, 4);
    observe(1, 0, 200, 4);
    observe(1, 0, 503, 4);
    observe(1, 2, 404, 1);
    const char *text = show();
    assert_holds(text, "\"statuses\":{\"200\":2,\"404\":1,\"503\":1},\"requests\":4");
    assert_holds(text, "{\"route\":\"/api/spas/{id}\",\"method\":\"GET\",\"count\":3,\"mean_ms\":4,");
    assert_holds(text, "\"errors\":1}");
    assert_holds(text, "\"route\":\"unmatched\"");
}

static void test_metrics_show__json_names_statements_and_workers(void **state)
{
    (void)state;
    metrics_use_page(&pages[0]);
    db_register(statements, 1);
    metric_series_observe(SERIES_STATEMENT, db_statement_index(&spa_by_id), 0, OK, NS_PER_MS);
    metric_series_observe(SERIES_STATEMENT, db_statement_index(&spa_by_id), 0, E_CONFLICT, NS_PER_MS);
    slots.rows[1].position = 1;
    slot_move(&slots.rows[1], WORKER_STARTING);
    const char *text = show();
    char expected[64];
    assert_holds(text, "\"statements\":[{\"name\":\"spa_by_id\",\"count\":2,");
    (void)snprintf(expected, sizeof(expected),
                   "{\"index\":0,\"pid\":%d,\"state\":\"ready\",\"rss_bytes\":", (int)getpid());
    assert_holds(text, expected);
    assert_holds(text, "\"restarts\":3");
    assert_holds(text, "{\"index\":1,\"pid\":0,\"state\":\"starting\",\"rss_bytes\":0");
    assert_null(strstr(text, "\"state\":\"none\"")); /* a row that is nobody's */
    assert_holds(text, "\"heartbeat_age_ms\":null");
}

/* --- text ------------------------------------------------------------------------------- */

static void test_metrics_show__text_has_labels_and_cumulative_buckets(void **state)
{
    (void)state;
    observe(0, 0, 200, 4);
    observe(1, 0, 200, 70);
    observe(1, 0, 200, 60000);
    const char *text = show_prometheus();
#define LABELS "{http_request_method=\"GET\",http_route=\"/api/spas/{id}\",http_response_status_code=\"200\""
    assert_holds(text, "\nhttp_server_request_duration_seconds_bucket" LABELS ",le=\"0.0025\"} 0\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_bucket" LABELS ",le=\"0.005\"} 1\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_bucket" LABELS ",le=\"0.075\"} 2\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_bucket" LABELS ",le=\"10.0\"} 2\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_bucket" LABELS ",le=\"+Inf\"} 3\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_sum" LABELS "} 60.074000000\n");
    assert_holds(text, "\nhttp_server_request_duration_seconds_count" LABELS "} 3\n");
}

static void test_metrics_show__text_describes_each_family_once(void **state)
{
    char needle[160];

    (void)state;
    observe(0, 0, 200, 4);
    observe(0, 1, 200, 4);
    metric_series_observe(SERIES_STATEMENT, 0, 0, E_BUSY, NS_PER_MS);
    const char *text = show_prometheus();
    for (const char *at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
        const int len = (int)strcspn(at + 7, " ");
        (void)snprintf(needle, sizeof(needle), "# TYPE %.*s ", len, at + 7);
        assert_int_equal(occurrences(text, needle), 1);
        (void)snprintf(needle, sizeof(needle), "# HELP %.*s ", len, at + 7);
        assert_int_equal(occurrences(text, needle), 1);
    }
    assert_int_equal(occurrences(text, "# TYPE http_server_request_duration_seconds histogram"), 1);
    assert_holds(text, "db_operation_name=\"other\",error_type=\"E_BUSY\"");
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_metrics_show__oldest_wait_is_the_oldest_and_in_seconds(void **state)
{
    (void)state;
    for (int i = 0; i < PAGES; i++) {
        metrics_use_page(&pages[i]);
        metric_gauge_set(M_POOL_OLDEST_WAIT_MS, 1500 * (i + 1));
    }
    const char *text = show_prometheus();
    assert_holds(text, "\n# TYPE db_client_connection_oldest_wait_seconds gauge\n"
                       "db_client_connection_oldest_wait_seconds 3\n");
    assert_null(strstr(text, "milliseconds"));
}

static void test_metrics_show__labelled_gauges_are_one_family(void **state)
{
    (void)state;
    metrics_use_page(&pages[0]);
    metric_gauge_set(M_POOL_IDLE, 5);
    metric_gauge_set(M_POOL_USED, 7);
    const char *text = show_prometheus();
    assert_int_equal(occurrences(text, "# TYPE db_client_connections gauge\n"), 1);
    assert_holds(text, "\ndb_client_connections{db_client_connection_state=\"idle\"} 5\n"
                       "db_client_connections{db_client_connection_state=\"used\"} 7\n");
}

static void test_metrics_show__workers_by_state_and_end(void **state)
{
    (void)state;
    slots_count_end(&slots, WORKER_END_CRASH);
    slots_count_end(&slots, WORKER_END_CRASH);
    slots_count_end(&slots, WORKER_END_RECYCLED);
    const char *text = show_prometheus();
    assert_holds(text, "\nworkers{state=\"ready\"} 1\n");
    assert_holds(text, "\nworkers{state=\"draining\"} 0\n");
    assert_holds(text, "\nworkers_ended_total{reason=\"crash\"} 2\n");
    assert_holds(text, "\nworkers_ended_total{reason=\"recycled\"} 1\n");
}

static void test_metrics_show__room_on_the_disks_of_its_files(void **state)
{
    (void)state;
    assert_null(strstr(show_prometheus(), "filesystem"));
    worker.conf.files[0] = (struct kept_file){ "database", "/proc/self/exe" };
    worker.conf.files[1] = (struct kept_file){ "access_log", "-" };
    worker.conf.file_count = 2;
    const char *text = show_prometheus();
    assert_holds(text, "\nfilesystem_avail_bytes{file=\"database\"} ");
    assert_holds(text, "\nfilesystem_size_bytes{file=\"database\"} ");
    assert_null(strstr(text, "access_log\""));
}

static void test_metrics_show__openmetrics_differs_where_it_must(void **state)
{
    (void)state;
    ask("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    const char *text = show();
    assert_holds(text, "# TYPE http_server_shed counter\nhttp_server_shed_total 0\n");
    assert_holds(text, "# TYPE build info\nbuild_info{version=");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
}

/* --- who, and in which form --------------------------------------------------------------- */

static void test_metrics_show__form_follows_accept(void **state)
{
    static const struct {
        const char *accept, *type;
    } cases[] = {
        { "*/*", "application/json" },
        { "text/html,application/xhtml+xml,*/*;q=0.8", "application/json" },
        { "application/json", "application/json" },
        { "text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8" },
        { "application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8" },
        { "text/plain;q=0.1, application/json", "application/json" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        head.field_count = 0;
        ask("Accept", cases[i].accept);
        const struct response res = metrics_show(&req);
        assert_true(str_eq(res.type, str_of(cases[i].type)));
    }
}

static void test_metrics_show__format_parameter_beats_accept(void **state)
{
    (void)state;
    ask("Accept", "application/json");
    req.args[0] = (struct arg){ .given = true, .i = FORMAT_PROMETHEUS };
    const struct response res = metrics_show(&req);
    assert_true(str_starts_with(res.type, STR("text/plain")));
}

static void test_metrics_show__only_to_allowed_addresses(void **state)
{
    (void)state;
    come_from("::ffff:127.0.0.9");
    assert_int_equal(metrics_show(&req).status, 200);
    come_from("203.0.113.5");
    assert_int_equal(metrics_show(&req).status, 403);
    come_from("127.0.0.1");
    req.client.hidden = true;
    assert_int_equal(metrics_show(&req).status, 403);
}

static void test_metrics_show__proxy_on_this_machine_opens_no_door(void **state)
{
    (void)state;
    ask("X-Forwarded-For", "127.0.0.1, 203.0.113.5");
    assert_int_equal(metrics_show(&req).status, 403);
    head.field_count = 0;
    ask("x-forwarded-for", "127.0.0.1");
    ask("X-Forwarded-For", "unknown");
    assert_int_equal(metrics_show(&req).status, 403);
    head.field_count = 0;
    ask("X-Forwarded-For", "127.0.0.1, ::1");
    assert_int_equal(metrics_show(&req).status, 200);
    ask("Forwarded", "for=203.0.113.5, for=127.0.0.1");
    assert_int_equal(metrics_show(&req).status, 403);
    head.field_count = 0;
    ask("X-Real-IP", "203.0.113.5");
    assert_int_equal(metrics_show(&req).status, 403);
    head.field_count = 0;
    ask("Forwarded", "for=\"[::1]:80\"");
    ask("X-Real-IP", "127.0.0.1");
    assert_int_equal(metrics_show(&req).status, 200);
}

/* --- quantiles ---------------------------------------------------------------------------- */

static void test_histogram_quantile__spreads_within_a_bucket(void **state)
{
    struct histogram_sum sum = { .count = 4 };

    (void)state;
    sum.buckets[3] = 4; /* 2.5 to 5 ms */
    assert_true(histogram_quantile(&sum, 0.5) > 0.0037 && histogram_quantile(&sum, 0.5) < 0.0038);
    sum.buckets[3] = 0;
    sum.buckets[METRIC_BUCKETS - 1] = 4;
    assert_true(histogram_quantile(&sum, 0.5) >= 10 && histogram_quantile(&sum, 0.5) <= 10);
    sum = (struct histogram_sum){ 0 };
    assert_true(histogram_quantile(&sum, 0.99) <= 0);
}

#define PAGE_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAGE_TEST(test_metrics_show__json_begins_with_the_pool_of_the_node),
        PAGE_TEST(test_metrics_show__overflow_is_never_negative),
        PAGE_TEST(test_metrics_show__json_sums_routes_over_workers_and_statuses),
        PAGE_TEST(test_metrics_show__json_names_statements_and_workers),
        PAGE_TEST(test_metrics_show__text_has_labels_and_cumulative_buckets),
        PAGE_TEST(test_metrics_show__text_describes_each_family_once),
        PAGE_TEST(test_metrics_show__oldest_wait_is_the_oldest_and_in_seconds),
        PAGE_TEST(test_metrics_show__labelled_gauges_are_one_family),
        PAGE_TEST(test_metrics_show__workers_by_state_and_end),
        PAGE_TEST(test_metrics_show__room_on_the_disks_of_its_files),
        PAGE_TEST(test_metrics_show__openmetrics_differs_where_it_must),
        PAGE_TEST(test_metrics_show__form_follows_accept),
        PAGE_TEST(test_metrics_show__format_parameter_beats_accept),
        PAGE_TEST(test_metrics_show__only_to_allowed_addresses),
        PAGE_TEST(test_metrics_show__proxy_on_this_machine_opens_no_door),
        PAGE_TEST(test_histogram_quantile__spreads_within_a_bucket),
    };

    routes_of_tests = router_new(routes, sizeof(routes) / sizeof(routes[0]));
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    router_free(routes_of_tests);
    return failures;
}
