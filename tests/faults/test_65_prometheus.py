# SPDX-License-Identifier: MIT
"""What collectors read and operators are woken by, judged by Prometheus' own programs: the metrics of a server with
database, Redis and limiter under load; deploy/prometheus.yml; deploy/alerts.yml; deploy/grafana-dashboard.json."""
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics import parser as openmetrics

from clients import Clients
from harness import PATIENCE, ROOT, Server, environment, wait_for
from mariadb import free_port
from redis import Redis
from redis import available as redis_available
from service import settings_of

pytestmark = pytest.mark.skipif(not shutil.which("promtool") or not redis_available(),
                                reason="there is no prometheus or no redis-tools")

DEPLOY = ROOT / "deploy"
RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def promtool(*arguments, text=None, status=0):
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, f"promtool {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# -- the metrics -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def busy(mariadb, tmp_path_factory):
    """A server that has something to say of everything: ((text, OpenMetrics), the server, its Redis)."""
    folder = tmp_path_factory.mktemp("busy")
    settings = {"RATE_LIMIT_ENABLED": "True", "RATE_LIMIT_PER_MINUTE": 1000000, "RATE_LIMIT_PER_HOUR": 1000000,
                "MAX_WORKERS": 3, "SLOW_QUERY_MS": 1, "ACCESS_LOG": folder / "access.log", "SLOW_LOG": folder / "slow.log"}
    with Redis(folder / "redis") as redis:
        server = Server(folder / "server", settings_of(mariadb, **settings, **redis.settings()))
        del server.settings["DB_PATH"]
        with server:
            wait_for(lambda: server.metrics()["redis"]["up"] == 3, "Redis")
            body = server.get("/api/certificates/templates").body
            with Clients(server.port, threads=4, target="/api/certificates/templates", body=body) as clients:
                for number in range(100):
                    server.get(f"/api/certificates/public?skip={number % 40}")
                    server.get(f"/nowhere/{number}")
                server.get("/api/certificates/public?skip=-1")
                scrape = [server.get("/metrics", {"Accept": accept}) for accept in ("text/plain", OPENMETRICS)]
            assert clients.failures == []
            assert [answer.status for answer in scrape] == [200, 200]
            yield [answer.body.decode() for answer in scrape], server, redis


def test_metrics__please_promtool(busy):
    promtool("check", "metrics", text=busy[0][0])


def samples_of(text):
    """{name: {label: values}} of an exposition in text."""
    found = {}
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        values = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            values.setdefault(label, set()).add(value)
    return found


def test_metrics__have_base_units_and_buckets_of_opentelemetry(busy):
    text = busy[0][0]
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert not [name for name in types if re.search(r"_(ms|milliseconds|us|microseconds|kb|mb|percent)(_|$)", name)]
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in types.items())
    assert all(name.endswith("_seconds") for name, kind in types.items() if kind == "histogram")
    assert len(re.findall(r"^# HELP \S+ \S.*$", text, re.MULTILINE)) == len(types)
    http = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    database = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
    for name, wanted in (("http_server_request_duration_seconds", http), ("db_client_operation_duration_seconds", database)):
        bounds = samples_of(text)[name + "_bucket"]["le"]
        assert "+Inf" in bounds and set(wanted) <= {float(bound) for bound in bounds}


def test_metrics__hold_what_an_operator_asks_first(busy):
    found = samples_of(busy[0][0])
    assert {"process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds",
            "process_cpu_seconds_total", "build_info", "worker_max_fds", "redis_client_up"} <= set(found)
    assert found["workers"]["state"] == {"starting", "ready", "draining"}
    assert {"crash", "stuck", "recycled"} <= found["workers_ended_total"]["reason"]
    assert found["filesystem_avail_bytes"]["file"] == {"access_log", "slow_log"}        # the database is not ours
    routes = found["http_server_request_duration_seconds_count"]["http_route"]
    assert {"/api/certificates/templates", "/api/certificates/public", "unmatched"} <= routes
    assert not [route for route in routes if "nowhere" in route]
    assert found["db_client_operation_duration_seconds_count"]["db_operation_name"]


def test_metrics__please_the_parser_of_openmetrics(busy):
    text = busy[0][1]
    assert text.endswith("\n# EOF\n")
    families = {family.name: family for family in openmetrics.text_string_to_metric_families(text)}
    assert families["build"].type == "info"
    assert families["http_server_shed"].type == "counter"
    assert families["http_server_request_duration_seconds"].type == "histogram"


def test_metrics__keep_their_names_from_one_format_to_the_other(busy):
    plain, open_metrics = (set(samples_of(text)) for text in busy[0])
    assert plain == open_metrics


# -- Prometheus itself -----------------------------------------------------------------------------------------------

def query(port, path, **params):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(params)}", timeout=10) as answer:
        return json.load(answer)["data"]


@pytest.fixture(scope="module")
def prometheus(busy, tmp_path_factory):
    """Prometheus with deploy/prometheus.yml and the alerts, of which it only gets another target and a shorter time."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{busy[1].port}"]}]
    shutil.copy(DEPLOY / "alerts.yml", folder)
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml",
                                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                   env=environment({}), stdout=log, stderr=log)

    def scraped():
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        try:
            return query(port, "/api/v1/query", query='count_over_time(up{job="sanad"}[1m]) > 3')["result"]
        except OSError:
            return None
    try:
        wait_for(scraped, "Prometheus to scrape")
        yield port
    finally:
        process.kill()
        process.wait()


def test_prometheus__reads_the_server(prometheus):
    target, = query(prometheus, "/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    up, = query(prometheus, "/api/v1/query", query='workers{job="sanad",state="ready"}')["result"]
    assert up["value"][1] == "3"
    quantile, = query(prometheus, "/api/v1/query", query=(
        'histogram_quantile(0.99, sum by (le) (http_server_request_duration_seconds_bucket{http_route=~"/api/.*"}))'))["result"]
    assert 0 < float(quantile["value"][1]) < 60


def test_prometheus__is_content_with_a_healthy_server(prometheus):
    rules = [rule for group in query(prometheus, "/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == set(ALERTS)
    wait_for(lambda: all(rule["health"] == "ok" for group in query(prometheus, "/api/v1/rules")["groups"]
                         for rule in group["rules"]), "all rules to be evaluated")
    # What is only pending may be the test machine's: slow, or with a full disk.
    assert [one["labels"] for one in query(prometheus, "/api/v1/alerts")["alerts"] if one["state"] == "firing"] == []


def test_prometheus__answers_each_panel_of_the_dashboard(prometheus):
    empty = [title for title, expression in panel_expressions()
             if not query(prometheus, "/api/v1/query", query=expression)["result"]]
    assert empty == []


# -- what goes wrong shows (last of those that need the server whole) ---------------------------------------------------

def value_of(server, sample):
    text = server.get("/metrics?format=prometheus").body.decode()
    return float(re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE).group(1))


def test_wrong__a_worker_that_is_killed_counts_as_crashed(busy):
    server = busy[1]
    before = value_of(server, 'workers_ended_total{reason="crash"}')
    os.kill(server.workers()[0], signal.SIGKILL)
    wait_for(lambda: value_of(server, 'workers_ended_total{reason="crash"}') == before + 1, "the count")
    wait_for(lambda: value_of(server, 'workers{state="ready"}') == value_of(server, "workers_wanted") == 3, "three again")


def test_wrong__redis_away(busy):
    _, server, redis = busy
    assert value_of(server, "redis_client_away") == 0
    redis.kill()
    wait_for(lambda: value_of(server, "redis_client_away") == 3, "Redis to be missed")
    redis.start()
    wait_for(lambda: value_of(server, "redis_client_away") == 0, "Redis to be back")


def test_wrong__database_away(busy, mariadb):
    server = busy[1]

    def ask():
        for number in range(20):
            server.get(f"/api/certificates/public?skip={100 + number}")
        return value_of(server, "db_client_away")
    assert ask() == 0
    mariadb.kill()
    try:
        wait_for(lambda: ask() > 0, "the database to be missed")
    finally:
        mariadb.start()
    wait_for(lambda: ask() == 0, "the database to be back")


# -- the files -------------------------------------------------------------------------------------------------------

def panel_expressions():
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    return [(title, text.replace("$__rate_interval", "1m").replace("$instance", ".*")) for title, text in found]


def expressions():
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return ([(name, rule["expr"]) for name, rule in ALERTS.items()] + panel_expressions() +
            [(note["name"], note["expr"]) for note in board["annotations"]["list"]])


WORDS = {"sum", "by", "rate", "increase", "changes", "delta", "count", "max", "min", "topk", "histogram_quantile", "and",
         "or", "ignoring", "on", "vector"}
THEIRS = {"up": {}}                                       # Prometheus' own
THEIR_LABELS = {"job", "instance"}


def names_in(expression):
    """The metrics that an expression asks for, each with the labels and values it wants of it."""
    found = []
    plain = re.sub(r"\b(by|ignoring|on) \([^)]*\)", "", expression)
    for name, matchers in re.findall(r"\b([a-zA-Z_]\w*)\b\s*(?:\{([^}]*)\})?", re.sub(r"\[\w+\]", "", plain)):
        if name in WORDS and not matchers:
            continue
        found.append((name, re.findall(r'(\w+)\s*(=~|=|!~|!=)\s*"([^"]*)"', matchers)))
    return [(name, matchers) for name, matchers in found if not re.fullmatch(r"\d.*", name)]


def test_files__ask_only_for_what_the_program_exports(busy):
    exported = samples_of(busy[0][0])
    for title, expression in expressions():
        asked = names_in(expression)
        assert asked, title
        for name, matchers in asked:
            assert name in exported or name in THEIRS, f"{title}: nobody exports {name}"
            labels = exported.get(name, {})
            for label, operator, value in matchers:
                assert label in labels or label in THEIR_LABELS, f"{title}: {name} has no label {label}"
                if operator == "=" and label not in THEIR_LABELS:
                    assert value in labels[label], f"{title}: {name} has no {label}={value}"
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            known = set().union(THEIR_LABELS, {"le"}, *(exported.get(name, {}) for name, _ in asked))
            assert {label.strip() for label in group.split(",")} <= known, f"{title}: by ({group})"


def test_files__docs_name_what_there_is(busy):
    text = (ROOT / "docs" / "watching.md").read_text()
    table = text[text.index("| to know"):text.index("## Prometheus")]
    named = {name for name in re.findall(r"`(\w+)`", table) if "_" in name}
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", busy[0][0], re.MULTILINE))
    assert len(named) > 40 and named <= set(types)


def test_files__parse(tmp_path):
    assert "SUCCESS" in promtool("check", "rules", DEPLOY / "alerts.yml")
    assert "SUCCESS" in promtool("check", "config", DEPLOY / "prometheus.yml")
    rules = [{"record": f"panel_{number}", "expr": text} for number, (_, text) in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", tmp_path / "panels.yml")


def test_files__the_balancers_instances_are_the_ones_scraped():
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"127.0.0.1:{8000 + number}" for number in range(4)]


def test_alerts__say_what_to_do():
    for name, rule in ALERTS.items():
        notes = rule["annotations"]
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert notes["summary"] and len(notes["description"]) > 40, name
        slug = re.sub(r"(?<!^)([A-Z])", r"-\1", name.removeprefix("Sanad")).lower()
        assert notes["runbook"] == f"docs/operations.md#alert-{slug}", name


def test_alerts__their_sections_are_there():
    text = (ROOT / "docs" / "operations.md").read_text()
    headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in text.splitlines() if line.startswith("#")}
    anchors = headings | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    missing = [name for name, rule in ALERTS.items() if rule["annotations"]["runbook"].split("#")[1] not in anchors]
    assert missing == []


# -- when they fire --------------------------------------------------------------------------------------------------

HTTP = "http_server_request_duration_seconds"
API = 'http_request_method="GET",http_route="/api/spas"'

# alert: what to feed ("metric{labels}": values, once a minute) to the instance that is ill, and to one that is well in a
# way that comes near; more labels of the alert. It must fire for the first only, at minute 20.
CASES = {
    "SanadDown": ({"up": "1x5 0x20"}, {"up": "1x5 0 1x20"}, {}),
    "SanadRestarts": ({"process_start_time_seconds": "100+100x30"}, {"process_start_time_seconds": "100x15 200x20"}, {}),
    "SanadErrors": (
        {f'{HTTP}_count{{{API},http_response_status_code="200"}}': "0+980x30",
         f'{HTTP}_count{{{API},http_response_status_code="503"}}': "0+20x30"},
        {f'{HTTP}_count{{{API},http_response_status_code="200"}}': "0+995x30",
         f'{HTTP}_count{{{API},http_response_status_code="503"}}': "0+5x30",
         f'{HTTP}_count{{http_request_method="GET",http_route="/health/ready",http_response_status_code="503"}}': "0+500x30"}, {}),
    "SanadSlow": (
        {f'{HTTP}_bucket{{{API},le="1.0"}}': "0+970x30", f'{HTTP}_bucket{{{API},le="5.0"}}': "0+1000x30",
         f'{HTTP}_bucket{{{API},le="+Inf"}}': "0+1000x30"},
        {f'{HTTP}_bucket{{{API},le="1.0"}}': "0+995x30", f'{HTTP}_bucket{{{API},le="5.0"}}': "0+1000x30",
         f'{HTTP}_bucket{{{API},le="+Inf"}}': "0+1000x30"}, {}),
    "SanadShedding": ({"http_server_shed_total": "0x10 0+5x20"}, {"http_server_shed_total": "0x2 7x30"}, {}),
    "SanadRateLimit": (
        {'rate_limit_refused_total{class="api"}': "0+30x40", 'rate_limit_refused_total{class="login"}': "0+10x40",
         "rate_limit_allowed_total": "0+100x40"},
        {'rate_limit_refused_total{class="api"}': "0+10x40", 'rate_limit_refused_total{class="login"}': "0+10x40",
         "rate_limit_allowed_total": "0+100x40"}, {}),
    "SanadClientTable": (
        {"rate_limit_clients": "990x40", "rate_limit_clients_max": "1000x40", "rate_limit_evicted_clients": "0+500x40"},
        {"rate_limit_clients": "990x40", "rate_limit_clients_max": "1000x40", "rate_limit_evicted_clients": "0+1x40"}, {}),
    "SanadDatabaseAway": ({"db_client_away": "0x10 4x30"}, {"db_client_away": "0x19 4 0x20"}, {}),
    "SanadDatabaseReadOnly": ({"db_client_read_only": "0x10 4x30"}, {"db_client_read_only": "0x40"}, {}),
    "SanadPoolWaiting": ({"db_client_connection_oldest_wait_seconds": "0x10 3x30"},
                         {"db_client_connection_oldest_wait_seconds": "0.9x40"}, {}),
    "SanadPoolTimeouts": ({"db_client_connection_timeouts_total": "0x18 3x30"},
                          {"db_client_connection_timeouts_total": "0x3 3x40"}, {}),
    "SanadPoolLeak": ({"db_client_connection_leaks_total": "0x10 1x30"}, {"db_client_connection_leaks_total": "1x40"}, {}),
    "SanadRedisAway": ({"redis_client_away": "0x10 4x30"}, {"redis_client_away": "0x19 4x1 0x30"}, {}),
    "SanadWorkersCrashing": (
        {'workers_ended_total{reason="crash"}': "0x14 3x30", 'workers_ended_total{reason="stuck"}': "0x14 1x30"},
        {'workers_ended_total{reason="crash"}': "0x14 1x30", 'workers_ended_total{reason="recycled"}': "0+9x40"}, {}),
    "SanadWorkersMissing": (
        {'workers{state="ready"}': "4x10 3x30", 'workers{state="draining"}': "4x40", "workers_wanted": "4x40"},
        {'workers{state="ready"}': "5x40", 'workers{state="draining"}': "0x40", "workers_wanted": "4x40"}, {}),
    "SanadWorkerStuck": ({'worker_heartbeat_age_seconds{worker="2"}': "0x10 10+30x30",
                          'worker_heartbeat_age_seconds{worker="1"}': "1x40"},
                         {'worker_heartbeat_age_seconds{worker="2"}': "2x40"}, {"worker": "2"}),
    "SanadFileDescriptors": ({'worker_open_fds{worker="0"}': "900x40", 'worker_max_fds{worker="0"}': "1024x40"},
                             {'worker_open_fds{worker="0"}': "700x40", 'worker_max_fds{worker="0"}': "1024x40"}, {"worker": "0"}),
    "SanadMemory": ({'worker_resident_memory_bytes{worker="0"}': "2000000000x40"},
                    {'worker_resident_memory_bytes{worker="0"}': "200000000x40"}, {"worker": "0"}),
    "SanadDisk": ({'filesystem_avail_bytes{file="database"}': "9x40", 'filesystem_size_bytes{file="database"}': "100x40"},
                  {'filesystem_avail_bytes{file="database"}': "11x40", 'filesystem_size_bytes{file="database"}': "100x40"},
                  {"file": "database"}),
    "SanadLogLines": ({"access_log_dropped_total": "0x15 9x30", "slow_log_dropped_total": "0x40"},
                      {"access_log_dropped_total": "9x40", "slow_log_dropped_total": "0x40"}, {}),
}


def fed(instance, series):
    for name, values in series.items():
        metric, _, labels = name.rstrip("}").partition("{")
        labels = ",".join(filter(None, (labels, 'job="sanad"', f'instance="{instance}"')))
        yield {"series": f"{metric}{{{labels}}}", "values": values}


def expected(name, labels):
    rule = ALERTS[name]
    fill = {key: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match.group(1)], text)
            for key, text in rule["annotations"].items()}
    return {"exp_labels": {"severity": rule["labels"]["severity"], **labels}, "exp_annotations": fill}


def run_rule_tests(tmp_path, *tests):
    """Runs promtool's own unit tests on the alerts."""
    shutil.copy(DEPLOY / "alerts.yml", tmp_path)
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", tmp_path / "tests.yml")


@pytest.mark.parametrize("name", CASES)
def test_alerts__fire_for_the_ill_and_not_for_the_well(tmp_path, name):
    ill, well, more = CASES[name]
    labels = {"job": "sanad", "instance": "ill:8000", **more}
    run_rule_tests(tmp_path, {
        "interval": "1m",
        "input_series": [*fed("ill:8000", ill), *fed("well:8000", well)],
        "alert_rule_test": [{"eval_time": "20m", "alertname": name, "exp_alerts": [expected(name, labels)]}],
    })


def test_alerts__versions(tmp_path):
    mixed = [*fed("a", {'build_info{version="1.0"}': "1x90"}), *fed("b", {'build_info{version="1.1"}': "1x90"})]
    same = [*fed("a", {'build_info{version="1.0"}': "1x90"}), *fed("b", {'build_info{version="1.0"}': "1x90"})]
    fires = [expected("SanadVersions", {"job": "sanad"})]
    run_rule_tests(tmp_path, *({
        "interval": "1m", "input_series": series,
        "alert_rule_test": [{"eval_time": when, "alertname": "SanadVersions", "exp_alerts": alerts}],
    } for series, when, alerts in ((mixed, "80m", fires), (mixed, "30m", []), (same, "80m", []))))


def test_alerts__each_is_tested():
    assert set(CASES) | {"SanadVersions"} == set(ALERTS)
