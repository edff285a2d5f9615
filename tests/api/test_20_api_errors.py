# SPDX-License-Identifier: MIT
"""Bad input to the API: each gets 4xx problem+json that names what is wrong."""
import pytest

from harness import assert_problem

PUBLIC = "/api/certificates/public"
TEMPLATES = "/api/certificates/templates"
ROUTES = ["/health", "/health/ready", "/metrics", PUBLIC, TEMPLATES, TEMPLATES + "/1", TEMPLATES + "/by-category/id_card",
          "/api/spas", "/api/certificates/" + "0" * 27]

# (target, the field that is named)
WRONG_PARAMETERS = [
    (PUBLIC + "?limit=abc", "limit"),
    (PUBLIC + "?limit=", "limit"),
    (PUBLIC + "?limit", "limit"),
    (PUBLIC + "?limit=0", "limit"),
    (PUBLIC + "?limit=-1", "limit"),
    (PUBLIC + "?limit=101", "limit"),
    (PUBLIC + "?limit=1000000", "limit"),
    (PUBLIC + "?limit=99999999999999999999", "limit"),
    (PUBLIC + "?limit=18446744073709551636", "limit"),
    (PUBLIC + "?limit=20.0", "limit"),
    (PUBLIC + "?limit=2e1", "limit"),
    (PUBLIC + "?limit=0x14", "limit"),
    (PUBLIC + "?limit=%2B20", "limit"),
    (PUBLIC + "?limit=+20", "limit"),
    (PUBLIC + "?limit=20%20", "limit"),
    (PUBLIC + "?limit=2_0", "limit"),
    (PUBLIC + "?limit=%EF%BC%92", "limit"),
    (PUBLIC + "?limit=1&limit=2", "limit"),
    (PUBLIC + "?limit=1&limit=1", "limit"),
    (PUBLIC + "?limit=1&%6Cimit=1", "limit"),
    (PUBLIC + "?skip=-1", "skip"),
    (PUBLIC + "?skip=abc", "skip"),
    (PUBLIC + "?skip=1.5", "skip"),
    (PUBLIC + "?skip=99999999999999999999", "skip"),
    (PUBLIC + "?skip=9223372036854775807", "skip"),
    (PUBLIC + "?skip=1&skip=2", "skip"),
    (PUBLIC + "?category=nonsense", "category"),
    (PUBLIC + "?category=", "category"),
    (PUBLIC + "?category=ID_CARD", "category"),
    (PUBLIC + "?category=id_card%20", "category"),
    (PUBLIC + "?category=id_card,daily_sheet", "category"),
    (PUBLIC + "?category=id_card%27%20OR%201=1--", "category"),
    (PUBLIC + "?category=users", "category"),
    (PUBLIC + "?category=id_card&category=id_card", "category"),
    (PUBLIC + "?cursor=x", "cursor"),
    (PUBLIC + "?cursor=", "cursor"),
    (PUBLIC + "?cursor=" + "A" * 48, "cursor"),
    (PUBLIC + "?cursor=" + "A" * 5000, "cursor"),
    (PUBLIC + "?cursor=../../etc/passwd", "cursor"),
    (PUBLIC + "?cursor=%C3%A9", "cursor"),
    (TEMPLATES + "?category=nonsense", "category"),
    (TEMPLATES + "?category=id_card&category=daily_sheet", "category"),
    (TEMPLATES + "?variant=" + "x" * 5000, "variant"),
    (TEMPLATES + "?variant=a&variant=b", "variant"),
    ("/api/spas?limit=abc", "limit"),
    ("/api/spas?limit=0", "limit"),
    ("/api/spas?limit=101", "limit"),
    ("/api/spas?skip=-1", "skip"),
]

# Queries that do not decode: which parameter is meant cannot be known.
BROKEN_QUERIES = [
    PUBLIC + "?limit=%zz",
    PUBLIC + "?limit=%2",
    PUBLIC + "?category=%ff",
    PUBLIC + "?category=%c0%af",
    PUBLIC + "?category=id_card%00",
    PUBLIC + "?category=%ed%a0%80",
    PUBLIC + "?limit=5%0d%0aX-Evil:%201",
    PUBLIC + "?" + "&".join(f"p{i}=1" for i in range(100)),
]

UNKNOWN_PATHS = ["/nothing", "/api", "/api/", "/api/nothing", "/api/certificates", "/api/certificates/", "/api/spas/",
                 "/api/certificates/public/", "/health/", "/healthy", "/Health", "/api/certificates/templates/1/x",
                 TEMPLATES + "/by-category", "/.env", "/.git/config", "/data/sanad.db", "/wp-login.php", "/index.php?x=1"]

WRONG_IDS = ["0", "-1", "abc", "1.0", "0x1", "99999999999999999999", "1%20", "%31%00", "1;DROP%20TABLE%20users", "1'--"]


@pytest.mark.parametrize("target,field", WRONG_PARAMETERS, ids=[target[:60] for target, _ in WRONG_PARAMETERS])
def test_wrong_parameter__is_named(server, target, field):
    answer = server.get(target)
    assert_problem(answer, 422, field)
    assert "x" * 200 not in answer.body.decode(), "a client's long text is given back whole"


def test_all_wrong_parameters_are_named_at_once(server):
    told = assert_problem(server.get(PUBLIC + "?limit=abc&skip=-1&category=nonsense"), 422)
    assert {error["field"] for error in told["errors"]} == {"limit", "skip", "category"}


def test_undeclared_parameters_are_ignored(server):
    assert server.get(PUBLIC + "?limit=3&colour=red&colour=blue&x").body == server.get(PUBLIC + "?limit=3").body


@pytest.mark.parametrize("target", BROKEN_QUERIES, ids=range(len(BROKEN_QUERIES)))
def test_broken_query(server, target):
    assert_problem(server.get(target), {400, 422})


def cursor_of(server, target):
    return server.get(target).links()["next"].split("cursor=")[1].split("&")[0]


def test_cursor__a_real_one_is_taken(server):
    cursor = cursor_of(server, PUBLIC + "?limit=5")
    assert server.get(f"{PUBLIC}?limit=5&cursor={cursor}").json() == server.get(f"{PUBLIC}?limit=5&skip=5").json()


def test_cursor__any_changed_character_is_refused(server):
    cursor = cursor_of(server, PUBLIC + "?limit=5")
    for at in range(len(cursor)):
        forged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1:]
        assert_problem(server.get(f"{PUBLIC}?limit=5&cursor={forged}"), 422, "cursor")


def test_cursor__cut_or_lengthened_is_refused(server):
    cursor = cursor_of(server, PUBLIC + "?limit=5")
    for forged in (cursor[:-1], cursor[1:], cursor[:10], cursor + "A", cursor + "=", cursor + cursor, cursor.swapcase()):
        assert_problem(server.get(f"{PUBLIC}?cursor={forged}"), 422, "cursor")


def test_cursor__of_another_list_is_refused(server):
    all_of_them = cursor_of(server, PUBLIC + "?limit=5")
    sheets = cursor_of(server, PUBLIC + "?category=daily_sheet&limit=5")
    for target in (f"{PUBLIC}?category=daily_sheet&cursor={all_of_them}", f"{PUBLIC}?cursor={sheets}",
                   f"{PUBLIC}?category=id_card&cursor={sheets}"):
        assert_problem(server.get(target), 422, "cursor")


def test_cursor__does_not_go_with_skip(server):
    cursor = cursor_of(server, PUBLIC + "?limit=5")
    assert_problem(server.get(f"{PUBLIC}?skip=5&cursor={cursor}"), 422, "cursor")


def test_cursor__means_the_same_on_every_worker_and_after_a_restart(serve):
    server = serve()
    cursor = cursor_of(server, PUBLIC + "?limit=5")
    bodies = {server.get(f"{PUBLIC}?limit=5&cursor={cursor}").body for _ in range(20)}
    server.stop()
    server.start()
    bodies.add(server.get(f"{PUBLIC}?limit=5&cursor={cursor}").body)
    assert len(bodies) == 1


@pytest.mark.parametrize("target", UNKNOWN_PATHS)
def test_unknown_path(server, target):
    answer = server.get(target)
    assert_problem(answer, 404)
    assert answer.header("Allow") is None


@pytest.mark.parametrize("wrong", WRONG_IDS)
def test_template__wrong_id(server, wrong):
    assert_problem(server.get(f"{TEMPLATES}/{wrong}"), {400, 404, 422})


@pytest.mark.parametrize("category", ["nonsense", "ID_CARD", "users", "id_card'", "%20"])
def test_templates_by_category__unknown(server, category):
    assert_problem(server.get(f"{TEMPLATES}/by-category/{category}"), {404, 422})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("target", ROUTES)
def test_wrong_method__says_which_are_allowed(server, target, method):
    answer = server.request(method, target)
    assert_problem(answer, 405)
    allowed = {word.strip() for word in answer.header("Allow").split(",")}
    assert {"GET", "HEAD", "OPTIONS"} <= allowed and method not in allowed


@pytest.mark.parametrize("target", ROUTES)
def test_options(server, target):
    answer = server.request("OPTIONS", target)
    assert answer.status in (200, 204), answer
    assert {"GET", "HEAD", "OPTIONS"} <= {word.strip() for word in answer.header("Allow").split(",")}


def test_wrong_method_with_a_body__is_answered_and_in_step(server):
    with server.connect() as wire:
        assert wire.request("POST", PUBLIC, {"Content-Type": "application/json"}, b'{"a": 1}').status == 405
    assert server.get("/health").status == 200


@pytest.mark.parametrize("target", [PUBLIC + "?limit=abc", "/nothing", PUBLIC + "?cursor=x"])
def test_errors_are_not_kept(server, target):
    """Neither our cache nor anybody's between us and the client may keep an error as an answer."""
    for _ in range(3):
        answer = server.get(target)
        assert answer.status >= 400
        assert answer.header("ETag") is None
        assert "max-age" not in answer.header("Cache-Control", "")


def test_errors_keep_the_connection(server):
    with server.connect() as wire:
        for target in (PUBLIC + "?limit=abc", "/nothing", PUBLIC + "?cursor=x", "/health"):
            assert wire.get(target).status in (200, 404, 422)


def test_accept_is_not_a_reason_to_refuse(server):
    for accept in ("text/html", "image/png", "application/xml;q=0.9", "", "nonsense"):
        assert server.get(PUBLIC + "?limit=1", {"Accept": accept}).status == 200
