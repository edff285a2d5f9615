# SPDX-License-Identifier: MIT
"""Each route: shape, order, paging, filters, conditional and compressed answers.

What a list must hold is asked of the database file itself (server.rows), not of
another route.
"""
import gzip
import re
from urllib.parse import quote

import brotli
import pytest

from harness import CATEGORIES, assert_problem, wait_for

ISO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
CODE = re.compile(r"^[0-9A-HJKMNP-TV-Z]{26}[0-9A-HJKMNP-Z*~$=]$")
CERTIFICATE_KEYS = {"category", "id", "code", "generated_at", "is_public", "template_id"}
TEMPLATE_KEYS = {"id", "name", "banner_image", "category", "template_type", "template_variant", "template_config",
                 "created_by", "is_active", "is_public", "created_at"}
VARIANTS = 3
NEVER_PUBLIC_IN_THE_DEMO = {"manager_salary", "invoice_spa_bill"}      # money of a person or a customer
LISTS = ["/api/certificates/templates", "/api/certificates/public", "/api/spas"]
CACHED = LISTS + ["/api/certificates/templates/by-category/id_card", "/api/certificates/public?category=daily_sheet&limit=5"]


def ok(answer):
    assert answer.status == 200, answer
    assert answer.header("Content-Type").split(";")[0] == "application/json", answer
    return answer.json()


def public_truth(server, category=None):
    """(category, id) of every public certificate in the order of lists: newest first, then by id, then by category."""
    parts = [f"SELECT {order} AS place, '{name}' AS category, id, generated_at FROM {name}_certificates WHERE is_public = 1"
             for order, name in enumerate(CATEGORIES) if category in (None, name)]
    rows = server.rows(" UNION ALL ".join(parts) + " ORDER BY generated_at DESC, id, place")
    return [(row["category"], row["id"]) for row in rows]


def keys(rows):
    return [(row["category"], row["id"]) for row in rows]


def walk(wire, target, most=10000):
    """Every page of a list, by its Link headers."""
    pages = []
    while target:
        answer = wire.get(target)
        pages.append(ok(answer))
        target = answer.links().get("next")
        assert len(pages) < most, "the list does not end"
    return pages


# -- templates -----------------------------------------------------------------------------------------------------

def test_templates__are_the_public_active_ones(server):
    rows = ok(server.get("/api/certificates/templates"))
    truth = server.rows("SELECT id, name FROM certificate_templates WHERE is_public = 1 AND is_active = 1 ORDER BY category, id")
    assert [(row["id"], row["name"]) for row in rows] == [(row["id"], row["name"]) for row in truth]
    assert truth


def test_templates__have_their_shape(server):
    for row in ok(server.get("/api/certificates/templates")):
        assert TEMPLATE_KEYS <= set(row), TEMPLATE_KEYS - set(row)
        assert row["category"] in CATEGORIES
        assert isinstance(row["template_config"], dict)
        assert row["is_public"] is True and row["is_active"] is True
        assert ISO_TIME.match(row["created_at"])


def test_templates__all_categories_have_three_variants(server):
    rows = ok(server.get("/api/certificates/templates"))
    for category in CATEGORIES:
        assert len({row["template_variant"] for row in rows if row["category"] == category}) == VARIANTS


@pytest.mark.parametrize("category", CATEGORIES)
def test_templates__by_category_parameter(server, category):
    rows = ok(server.get(f"/api/certificates/templates?category={category}"))
    assert rows and {row["category"] for row in rows} == {category}


def test_templates__by_variant(server):
    variant = ok(server.get("/api/certificates/templates"))[0]["template_variant"]
    rows = ok(server.get(f"/api/certificates/templates?variant={variant}"))
    assert rows and {row["template_variant"] for row in rows} == {variant}
    assert ok(server.get("/api/certificates/templates?variant=no-such-variant")) == []


def test_template__one(server):
    listed = ok(server.get("/api/certificates/templates"))[0]
    one = ok(server.get(f"/api/certificates/templates/{listed['id']}"))
    assert all(one[key] == listed[key] for key in TEMPLATE_KEYS)


def test_template__hidden_ones_do_not_exist(server):
    hidden = server.rows("SELECT id FROM certificate_templates WHERE is_public = 0 OR is_active = 0")
    for row in hidden[:5]:
        assert_problem(server.get(f"/api/certificates/templates/{row['id']}"), 404)
    assert_problem(server.get("/api/certificates/templates/999999"), 404)


@pytest.mark.parametrize("category", CATEGORIES)
def test_templates_by_category__groups_by_variant(server, category):
    told = ok(server.get(f"/api/certificates/templates/by-category/{category}"))
    truth = server.rows("SELECT id, template_variant FROM certificate_templates "
                        "WHERE category = ? AND is_public = 1 AND is_active = 1", category)
    assert told["category"] == category and told["title"]
    assert len(told["variants"]) == VARIANTS
    assert {(row["id"], variant) for variant, rows in told["variants"].items() for row in rows} == \
        {(row["id"], row["template_variant"]) for row in truth}


# -- public certificates -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("limit", [7, 100])
def test_public__walk_sees_every_row_once_in_order(server, limit):
    with server.connect() as wire:
        pages = walk(wire, f"/api/certificates/public?limit={limit}")
    assert all(len(page) == limit for page in pages[:-1])
    assert 0 < len(pages[-1]) <= limit
    assert keys(row for page in pages for row in page) == public_truth(server)


@pytest.mark.parametrize("category", CATEGORIES)
def test_public__walk_of_one_category(server, category):
    truth = public_truth(server, category)
    with server.connect() as wire:
        pages = walk(wire, f"/api/certificates/public?category={category}&limit=13")
    assert keys(row for page in pages for row in page) == truth
    assert bool(truth) == (category not in NEVER_PUBLIC_IN_THE_DEMO)


@pytest.mark.parametrize("category", [None, "spa_therapist", "id_card"])
@pytest.mark.parametrize("skip,limit", [(0, 1), (0, 100), (1, 20), (19, 20), (100, 50)])
def test_public__skip_and_limit_are_a_slice(server, category, skip, limit):
    more = f"&category={category}" if category else ""
    rows = ok(server.get(f"/api/certificates/public?skip={skip}&limit={limit}{more}"))
    assert keys(rows) == public_truth(server, category)[skip:skip + limit]


def test_public__default_page_has_twenty(server):
    assert keys(ok(server.get("/api/certificates/public"))) == public_truth(server)[:20]


def test_public__skip_past_the_end_is_empty(server):
    answer = server.get("/api/certificates/public?skip=1000000")
    assert ok(answer) == []
    assert "next" not in answer.links()


def test_public__the_last_page_has_no_next(server):
    count = len(public_truth(server, "daily_sheet"))
    answer = server.get(f"/api/certificates/public?category=daily_sheet&skip={count - 1}&limit=1")
    assert len(ok(answer)) == 1
    assert "next" not in answer.links()


def test_public__rows_have_their_shape(server):
    for category in CATEGORIES:
        for row in ok(server.get(f"/api/certificates/public?category={category}&limit=5")):
            assert CERTIFICATE_KEYS <= set(row), CERTIFICATE_KEYS - set(row)
            assert row["category"] == category and row["is_public"] is True
            assert ISO_TIME.match(row["generated_at"]) and CODE.match(row["code"])


def test_public__one_by_its_code(server):
    for category in set(CATEGORIES) - NEVER_PUBLIC_IN_THE_DEMO:
        row = ok(server.get(f"/api/certificates/public?category={category}&limit=1"))[0]
        one = ok(server.get(f"/api/certificates/{row['code']}"))
        assert all(one[key] == value for key, value in row.items())


def test_certificate__code_as_people_type_it(server):
    row = ok(server.get("/api/certificates/public?limit=1"))[0]
    code = row["code"]
    typed = "-".join(code[at:at + 5] for at in range(0, len(code), 5)).lower()
    assert ok(server.get(f"/api/certificates/{typed}"))["id"] == row["id"]


def test_certificate__private_and_wrong_codes_are_the_same_404(server):
    """Nobody learns from the answer whether a certificate exists."""
    private = server.rows("SELECT code FROM manager_salary_certificates WHERE is_public = 0 LIMIT 1")[0]["code"]
    public = ok(server.get("/api/certificates/public?limit=1"))[0]["code"]
    wrong_check = public[:-1] + ("0" if public[-1] != "0" else "1")
    told = [assert_problem(server.get(f"/api/certificates/{code}"), 404)
            for code in (private, wrong_check, "0" * 27, "x", "1", "%20")]
    assert len({(answer["title"], answer["detail"]) for answer in told}) == 1


def test_certificate__by_number_does_not_exist(server):
    row = ok(server.get("/api/certificates/public?limit=1"))[0]
    assert_problem(server.get(f"/api/certificates/{row['id']}"), 404)


# -- spas ----------------------------------------------------------------------------------------------------------

def test_spas__are_the_active_ones(server):
    truth = [row["id"] for row in server.rows("SELECT id FROM spa WHERE is_active = 1 ORDER BY name, id")]
    with server.connect() as wire:
        rows = [row for page in walk(wire, "/api/spas?limit=7") for row in page]
    assert [row["id"] for row in rows] == truth
    assert truth


def test_spas__of_a_city(server):
    city = ok(server.get("/api/spas"))[0]["city"]
    truth = [row["id"] for row in server.rows("SELECT id FROM spa WHERE is_active = 1 AND city = ? ORDER BY name, id", city)]
    with server.connect() as wire:
        rows = [row for page in walk(wire, "/api/spas?limit=2&city=" + quote(city)) for row in page]
    assert [row["id"] for row in rows] == truth


def test_spas__show_nothing_internal(server):
    for row in ok(server.get("/api/spas")):
        assert {"id", "code", "name"} <= set(row)
        assert "internal_note" not in row


# -- what every answer has -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("target", LISTS + ["/health", "/metrics", "/nothing-here"])
def test_headers__every_answer(server, target):
    answer = server.get(target)
    assert re.match(r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", answer.header("Date"))
    assert int(answer.header("Content-Length")) == len(answer.body)
    assert re.match(r"^[A-Za-z0-9._-]{8,}$", answer.header("X-Request-Id"))
    assert answer.header("Connection", "").lower() == "close"


@pytest.mark.parametrize("given", ["abc-123", "A" * 36, "3f2b6b0e-6f9e-4f8e-9f7e-0123456789ab"])
def test_request_id__sane_one_comes_back(server, given):
    for target in ("/health", LISTS[0], "/nothing-here"):
        assert server.get(target, {"X-Request-Id": given}).header("X-Request-Id") == given


@pytest.mark.parametrize("given", ["", "a b", "<script>", "x" * 5000, "a\tb", "caf\xe9", '"quoted"', "a;b", "a,b"])
def test_request_id__others_are_replaced(server, given):
    made = server.get("/health", {"X-Request-Id": given}).header("X-Request-Id")
    assert made and made != given


def test_request_id__differs(server):
    assert len({server.get("/health").header("X-Request-Id") for _ in range(50)}) == 50


def test_head__has_the_headers_of_get(server):
    skip = {"date", "x-request-id", "age"}
    for target in LISTS + ["/api/certificates/nothing", "/nothing-here"]:
        got = server.get(target)
        head = server.request("HEAD", target)
        assert head.status == got.status and head.body == b""
        assert {f for f in head.fields if f[0] not in skip} == {f for f in got.fields if f[0] not in skip}, target


@pytest.mark.parametrize("target", CACHED)
def test_etag__unchanged_is_304(server, target):
    got = server.get(target)
    tag = got.header("ETag")
    assert re.match(r'^(W/)?"[^"]+"$', tag), got
    for match in (tag, f'"other", {tag}', "*", tag.removeprefix("W/"), f"W/{tag.removeprefix('W/')}"):
        again = server.get(target, {"If-None-Match": match})
        assert again.status == 304, (match, again)
        assert again.body == b"" and again.header("ETag") == tag
    for other in ('"other"', tag.strip('"'), '""'):
        assert server.get(target, {"If-None-Match": other}).status == 200


def test_etag__304_leaves_the_connection_in_step(server):
    with server.connect() as wire:
        tag = wire.get(LISTS[0]).header("ETag")
        assert [wire.get(LISTS[0], {"If-None-Match": tag}).status for _ in range(3)] == [304] * 3
        assert wire.get("/health").status == 200


UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}


@pytest.mark.parametrize("coding", UNPACK)
@pytest.mark.parametrize("target", LISTS)
def test_compression__same_bytes(server, target, coding):
    plain = server.get(target)
    assert plain.header("Content-Encoding") is None

    def packed():
        answer = server.get(target, {"Accept-Encoding": coding})
        return answer if answer.header("Content-Encoding") == coding else None

    answer = wait_for(packed, f"{target} as {coding}")
    assert UNPACK[coding](answer.body) == plain.body
    assert len(answer.body) < len(plain.body) / 2
    assert "accept-encoding" in answer.header("Vary").lower()
    assert "accept-encoding" in plain.header("Vary", "").lower()
    same = server.get(target, {"Accept-Encoding": coding, "If-None-Match": answer.header("ETag")})
    assert same.status == 304


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br;q=0, gzip;q=0", "deflate", "*;q=0"])
def test_compression__not_where_it_was_not_asked_for(server, accepted):
    answer = server.get(LISTS[0], {"Accept-Encoding": accepted})
    assert answer.status == 200 and answer.header("Content-Encoding") is None


# -- what the specification names ----------------------------------------------------------------------------------

def test_health(server):
    answer = server.get("/health")
    assert answer.status == 200
    assert answer.header("Content-Type").split(";")[0] in ("application/json", "application/health+json")
    assert answer.json()["status"] == "healthy"


def test_ready__tells_each_dependency(server):
    answer = server.get("/health/ready")
    assert answer.status == 200, answer
    assert answer.header("Content-Type").split(";")[0] == "application/health+json"
    told = answer.json()
    assert told["status"] in ("pass", "warn") and told["checks"]
    for checks in told["checks"].values():
        assert all(check["status"] in ("pass", "warn", "fail") for check in checks)


def test_metrics__five_keys(server):
    told = ok(server.get("/metrics"))
    for key in ("pool_size", "checked_in", "checked_out", "overflow", "invalid"):
        assert isinstance(told[key], int) and told[key] >= 0, key
    assert told["pool_size"] == 50, "a total of the node, however many workers there are"


@pytest.mark.parametrize("target,accept", [("/metrics?format=prometheus", "*/*"), ("/metrics", "text/plain"),
                                           ("/metrics", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")])
def test_metrics__prometheus(server, target, accept):
    answer = server.get(target, {"Accept": accept})
    assert answer.status == 200 and answer.header("Content-Type").startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert text.endswith("\n")
    described, samples = set(), {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in described, f"{name} is described twice"
            described.add(name)
        elif line and not line.startswith("#"):
            found = re.match(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$', line)
            assert found, line
            name, labels, value = found.groups()
            assert (name, labels) not in samples, f"twice: {line}"
            samples[name, labels] = float(value)
            assert name in described or re.sub(r"_(bucket|sum|count)$", "", name) in described, line
    assert samples["http_server_connections_accepted_total", None] > 0


def test_metrics__histograms_add_up(server):
    for _ in range(5):
        server.get("/health")
    text = server.get("/metrics?format=prometheus").body.decode()
    buckets, counts = {}, {}
    for name, labels, value in re.findall(r"^http_server_request_duration_seconds_(bucket|count)\{(.*)\} (\S+)$", text, re.M):
        key = re.sub(r',?le="[^"]*"', "", labels).strip(",")
        if name == "count":
            counts[key] = float(value)
        else:
            buckets.setdefault(key, []).append(float(value))
    assert counts
    for key, values in buckets.items():
        assert values == sorted(values) and values[-1] == counts[key], key
    assert any('"/health"' in key for key in counts), counts
    assert not any("/nothing-here" in key for key in counts), "a label from a client's path"


def test_metrics__any_worker_answers_for_the_node(server):
    """Counters never fall from one scrape to the next, whichever worker answers."""
    seen = []
    for _ in range(30):
        text = server.get("/metrics?format=prometheus").body.decode()
        seen.append(float(re.search(r"^http_server_connections_accepted_total (\S+)$", text, re.M).group(1)))
    assert seen == sorted(seen) and seen[-1] - seen[0] == 29


def test_metrics__only_for_those_allowed(serve):
    server = serve(METRICS_ALLOW="10.0.0.0/8")
    assert_problem(server.get("/metrics"), 403)
    assert server.get("/health").status == 200


# -- caching --------------------------------------------------------------------------------------------------------

def test_cache__same_bytes_with_and_without(serve):
    cached, plain = serve("cached"), serve("plain", CACHE_ENABLED="False")
    for target in CACHED + ["/api/certificates/public?skip=40", "/api/certificates/templates?category=id_card"]:
        first, second, other = cached.get(target), cached.get(target), plain.get(target)
        assert first.status == second.status == other.status == 200
        assert first.body == second.body
        assert first.json() == other.json()


def test_cache__spelling_makes_no_second_answer(server):
    for one, other in [("/api/certificates/public?limit=20", "/api/certificates/public"),
                       ("/api/certificates/public?skip=0&limit=20", "/api/certificates/public?limit=20&skip=0"),
                       ("/api/certificates/public?utm_source=x", "/api/certificates/public"),
                       ("/api/certificates/templates?category=id%5Fcard", "/api/certificates/templates?category=id_card")]:
        assert ok(server.get(one)) == ok(server.get(other))
