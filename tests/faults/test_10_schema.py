# SPDX-License-Identifier: MIT
"""The schema of both databases, and how each of a million certificates is found: by its index, without a sort."""
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from mariadb import MY_CNF, ROOT, MariaDB, available

pytestmark = pytest.mark.skipif(not available(), reason="there is no mariadb-server")

SQLITE_FILE = ROOT / "migrations" / "sqlite" / "0001_initial.sql"
MYSQL_FILE = ROOT / "migrations" / "mysql" / "0001_initial.sql"

NINE_INDEXES = {
    "idx_cert_templates_public_active": "certificate_templates(is_public,is_active,category)",
    "idx_cert_templates_variant": "certificate_templates(category,template_variant,is_public,is_active)",
    "idx_spa_therapist_public": "spa_therapist_certificates(is_public,generated_at DESC)",
    "idx_spa_therapist_user": "spa_therapist_certificates(created_by,generated_at DESC)",
    "idx_candidate_forms_spa": "candidate_forms(spa_id,created_at DESC)",
    "idx_candidate_forms_user": "candidate_forms(created_by,created_at DESC)",
    "idx_users_email": "users(email)",
    "idx_users_username": "users(username)",
    "idx_spa_code": "spa(code)",
}

# What a row of each category needs beside what all have.
OWN_COLUMNS = {
    "spa_therapist": {"candidate_name": "Name", "course_name": "Course", "start_date": "2024-01-01",
                      "end_date": "2024-03-01"},
    "manager_salary": {"manager_name": "Name", "position": "Manager", "joining_date": "2024-01-01",
                       "monthly_salary": "1"},
    "offer_letter": {"employee_name": "Name", "position": "Cook", "start_date": "2024-01-01", "monthly_salary": "1"},
    "experience_letter": {"candidate_name": "Name", "position": "Cook", "joining_date": "2024-01-01",
                          "end_date": "2024-03-01"},
    "appointment_letter": {"employee_name": "Name", "position": "Cook", "start_date": "2024-01-01",
                           "monthly_salary": "1"},
    "invoice_spa_bill": {"bill_number": "1", "bill_date": "2024-01-01", "customer_name": "Name",
                         "payment_mode": "upi", "total_amount": "1"},
    "id_card": {"employee_name": "Name", "designation": "Cook", "joining_date": "2024-01-01",
                "issue_date": "2024-01-02"},
    "daily_sheet": {"spa_name": "Name", "sheet_date": "2024-01-01"},
}
CATEGORIES = list(OWN_COLUMNS)


# -- a million certificates ------------------------------------------------------------------------------------------

THERAPISTS, OTHERS = 600_000, 57_143           # 7 x 57,143 + 600,000 = 1,000,001
SPAS, USERS, TEMPLATES, FORMS = 500, 2_000, 2_000, 100_000
FIRST_MOMENT = 1_700_000_000_000


def fill(numbers):
    """Statements that fill the tables; numbers(n) is a table of `seq` from 1 to n. The same in both databases:
    seven of ten rows are public, four certificates share each moment, and moments come in no order of ids."""
    yield f"INSERT INTO spa (code, name, city, created_at) SELECT {join('S', 'seq')}, {join('Spa ', 'seq')}, " \
          f"{join('City ', 'seq % 50')}, 0 FROM {numbers(SPAS)}"
    yield f"INSERT INTO users (email, username, password_hash, created_at) " \
          f"SELECT {join('U', 'seq', '@example.com')}, {join('U', 'seq')}, 'x', 0 FROM {numbers(USERS)}"
    category = "CASE seq % 8 " + " ".join(f"WHEN {i} THEN '{name}'" for i, name in enumerate(CATEGORIES)) + " END"
    yield f"INSERT INTO certificate_templates (name, category, template_variant, is_public, created_at) SELECT 'T', " \
          f"{category}, {join('v', 'seq % 11')}, seq % 10 < 7, 0 FROM {numbers(TEMPLATES)}"
    for i, (name, own) in enumerate(OWN_COLUMNS.items()):
        count = THERAPISTS if i == 0 else OTHERS
        yield f"INSERT INTO {name}_certificates (code, spa_id, created_by, {', '.join(own)}, is_public, generated_at) " \
              f"SELECT {code(i, 'seq')}, 1 + seq % {SPAS}, 1 + seq % {USERS}, " + \
              ", ".join(f"'{value}'" for value in own.values()) + \
              f", seq % 10 < 7, {FIRST_MOMENT} + seq * 7919 % {count // 4} * 1000 FROM {numbers(count)}"
    for table, needed in (("candidate_forms", "candidate_name, phone_number"), ("hiring_forms", "job_role, details")):
        yield f"INSERT INTO {table} (spa_id, created_by, {needed}, created_at) SELECT 1 + seq % {SPAS}, " \
              f"1 + seq % {USERS}, 'Name', '1', {FIRST_MOMENT} + seq * 7919 % {FORMS // 4} FROM {numbers(FORMS)}"


def join(*parts):
    """Text and expressions, put together in SQL that both take (with PIPES_AS_CONCAT)."""
    return " || ".join(f"({part})" if "seq" in part else f"'{part}'" for part in parts)


def code(category, number):
    """The code of the n-th certificate of a category: a letter and 26 digits."""
    return f"'{chr(ord('A') + category)}' || (10000000000000 + {number}) || '000000000000'"


def fill_mariadb(db):
    db.load(MYSQL_FILE)
    db.sql("SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT'), unique_checks = 0, foreign_key_checks = 0;\n" +
           ";\n".join(fill(lambda n: f"seq_1_to_{n}")))
    db.sql("ANALYZE TABLE " + ", ".join(sorted(columns_of_mariadb(db))))


def fill_sqlite(path):
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;" +
                     SQLITE_FILE.read_text() + "BEGIN;")
    for statement in fill(lambda n: f"(WITH RECURSIVE numbers(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers "
                                    f"WHERE seq < {n}) SELECT seq FROM numbers)"):
        db.execute(statement)
    db.execute("COMMIT")
    return db


@pytest.fixture(scope="session")
def million(tmp_path_factory):
    """Both databases with the same million; made side by side."""
    folder = tmp_path_factory.mktemp("million")
    with MariaDB(folder / "mariadb", innodb_buffer_pool_size="768M", innodb_log_file_size="64M",
                 innodb_flush_log_at_trx_commit=0) as mariadb, ThreadPoolExecutor() as pool:
        sqlite = pool.submit(fill_sqlite, folder / "sanad.db")
        fill_mariadb(mariadb)
        yield {"mariadb": mariadb, "sqlite": sqlite.result()}
        sqlite.result().close()
        (folder / "sanad.db").unlink()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """An empty schema."""
    with MariaDB(tmp_path_factory.mktemp("schema")) as db:
        db.load(MYSQL_FILE)
        yield db


@pytest.fixture(scope="module")
def sqlite():
    db = sqlite3.connect(":memory:")
    db.executescript(SQLITE_FILE.read_text())
    yield db
    db.close()


# -- the server's settings ---------------------------------------------------------------------------------------------

def test_my_cnf__every_line_is_known_to_the_server(mariadb):
    assert not re.search(r"\[(ERROR|Warning)\].*(unknown|deprecated|variable|option|loose)", mariadb.log(), re.I), \
        mariadb.log()
    running = {row["Variable_name"]: row["Value"] for row in mariadb.rows("SHOW GLOBAL VARIABLES")}
    for name, value in {"max_connections": "200", "thread_cache_size": "50", "wait_timeout": "600",
                        "interactive_timeout": "600", "innodb_flush_log_at_trx_commit": "1",
                        "innodb_flush_method": "O_DIRECT", "query_cache_type": "OFF", "time_zone": "+00:00",
                        "character_set_server": "utf8mb4", "skip_name_resolve": "ON"}.items():
        assert running[name] == value, name
    assert int(running["max_user_connections"]) > 150, "no room for `sanad check` beside a full pool"
    assert "STRICT_ALL_TABLES" in running["sql_mode"]


def test_my_cnf__every_setting_gives_its_reason():
    above = ""
    for line in MY_CNF.read_text().splitlines():
        if re.match(r"\w+ = ", line):
            assert above.startswith("# "), line
        above = line


# -- the schema -----------------------------------------------------------------------------------------------------------

def columns_of_mariadb(db):
    columns = {}
    for row in db.rows("SELECT table_name AS t, column_name AS c FROM information_schema.columns "
                       "WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"):
        columns.setdefault(row["t"], []).append(row["c"])
    return columns


def columns_of_sqlite(db):
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in tables}


def indexes_of_mariadb(db):
    """{name: "table(column DESC,...)"}, without primary keys."""
    return {row["i"]: f"{row['t']}({row['c']})" for row in db.rows(
        "SELECT index_name AS i, table_name AS t, GROUP_CONCAT(CONCAT(column_name, IF(collation = 'D', ' DESC', '')) "
        "ORDER BY seq_in_index) AS c FROM information_schema.statistics WHERE table_schema = DATABASE() "
        "AND index_name <> 'PRIMARY' GROUP BY table_name, index_name")}


def indexes_of_sqlite(db):
    return {name: f"{table}({sql[sql.index('(') + 1:sql.rindex(')')].replace(', ', ',')})" for name, table, sql
            in db.execute("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}


def test_schema__tables_and_columns_are_the_same_in_both(mariadb, sqlite):
    assert columns_of_mariadb(mariadb) == columns_of_sqlite(sqlite)


def test_schema__indexes_are_the_same_in_both(mariadb, sqlite):
    found = indexes_of_mariadb(mariadb)
    for name, columns in indexes_of_sqlite(sqlite).items():
        assert found.get(name) == columns, name
    assert NINE_INDEXES.items() <= found.items()


def test_schema__each_category_has_unique_codes(mariadb, sqlite):
    for category in CATEGORIES:
        unique = mariadb.rows(f"SHOW INDEX FROM {category}_certificates WHERE Non_unique = 0 AND Column_name = 'code'")
        assert len(unique) == 1, category
        assert any(row[2] and [c[2] for c in sqlite.execute(f"PRAGMA index_info({row[1]})")] == ["code"]
                   for row in sqlite.execute(f"PRAGMA index_list({category}_certificates)")), category


def test_schema__foreign_keys_are_the_same_in_both(mariadb, sqlite):
    found = {(row["t"], row["c"], row["r"]) for row in mariadb.rows(
        "SELECT table_name AS t, column_name AS c, referenced_table_name AS r FROM information_schema.key_column_usage "
        "WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL")}
    expected = {(table, row[3], row[2]) for table in columns_of_sqlite(sqlite)
                for row in sqlite.execute(f"PRAGMA foreign_key_list({table})")}
    assert found == expected


def test_schema__not_null_is_the_same_in_both(mariadb, sqlite):
    found = {(row["t"], row["c"]) for row in mariadb.rows(
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND is_nullable = 'NO'")}
    expected = {(table, row[1]) for table in columns_of_sqlite(sqlite)
                for row in sqlite.execute(f"PRAGMA table_info({table})") if row[3] or row[5]}
    assert found == expected


def test_schema__every_table_is_innodb_and_utf8mb4(mariadb):
    for row in mariadb.rows("SELECT table_name AS t, engine AS e, table_collation AS c FROM information_schema.tables "
                            "WHERE table_schema = DATABASE()"):
        assert (row["e"], row["c"]) == ("InnoDB", "utf8mb4_unicode_520_ci"), row


def test_schema__a_half_done_migration_is_finished_by_running_it_again(mariadb):
    before = columns_of_mariadb(mariadb), indexes_of_mariadb(mariadb)
    mariadb.sql("CREATE DATABASE half", database=None)
    text = MYSQL_FILE.read_text()
    mariadb.sql(text[:text.index("CREATE TABLE IF NOT EXISTS offer_letter")], database="half")
    for database in ("half", "sanad"):
        mariadb.load(MYSQL_FILE, database)
    assert before == (columns_of_mariadb(mariadb), indexes_of_mariadb(mariadb))
    mariadb.sql("USE half; CREATE TABLE list AS SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = 'half' AND table_name <> 'list'", database=None)
    assert int(mariadb.value("SELECT count(*) FROM list", "half")) == len(before[0])
    mariadb.sql("DROP DATABASE half", database=None)


def test_schema__tables_of_another_program_are_refused_and_kept(mariadb):
    mariadb.sql("CREATE DATABASE old", database=None)
    mariadb.sql("CREATE TABLE spa_therapist_certificates (id BIGINT PRIMARY KEY, candidate_name VARCHAR(50));"
                "INSERT INTO spa_therapist_certificates VALUES (7, 'Asha')", database="old")
    assert "'code'" in mariadb.refusal(MYSQL_FILE.read_text(), "old")
    assert mariadb.value("SELECT candidate_name FROM spa_therapist_certificates", "old") == "Asha"
    assert mariadb.rows("SHOW TABLES LIKE 'candidate_forms'", "old") == []
    mariadb.sql("DROP DATABASE old", database=None)


# -- what the tables refuse --------------------------------------------------------------------------------------------------

def insert(table, **values):
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(repr, values.values()))});"


def user(number, **values):
    return insert("users", **{"email": f"u{number}@example.com", "username": f"u{number}", "password_hash": "x",
                              "created_at": 0, **values})


def certificate(**values):
    return insert("spa_therapist_certificates", **{**OWN_COLUMNS["spa_therapist"], "code": "A" * 27, "generated_at": 0,
                                                   **values})


REFUSED = {
    "an e-mail address that differs in case": user(1) + user(2, email="U1@Example.COM"),
    "a user name that differs in case": user(1) + user(2, username="U1"),
    "a role that there is not": user(1, role="owner"),
    "a role in another case": user(1, role="Admin"),
    "a code that is taken": certificate() + certificate(),
    "a short code": certificate(code="A" * 26),
    "a long code": certificate(code="A" * 28),
    "truth that is neither 0 nor 1": certificate(is_public=2),
    "data that is not JSON": certificate(certificate_data="{"),
    "a spa that there is not": certificate(spa_id=99),
    "no name": insert("candidate_forms", phone_number="1", created_at=0),
    "a payment in shells": insert("invoice_spa_bill_certificates", **{**OWN_COLUMNS["invoice_spa_bill"],
                                                                     "payment_mode": "shells", "code": "A" * 27,
                                                                     "generated_at": 0}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_schema__both_refuse(mariadb, what):
    said = mariadb.refusal("START TRANSACTION;" + REFUSED[what])
    assert re.search(r"ERROR (1062|1364|1406|1452|4025) ", said), said    # taken, missing, too long, no such, check
    with sqlite3.connect(":memory:") as db, pytest.raises(sqlite3.IntegrityError):
        db.executescript("PRAGMA foreign_keys = ON;" + SQLITE_FILE.read_text() + REFUSED[what])
    db.close()


ACCEPTED = {
    "codes that differ in case": certificate() + certificate(code="a" * 27),
    "spas whose codes differ in case": insert("spa", code="a", name="A", created_at=0) +
                                       insert("spa", code="A", name="A", created_at=0),
    "defaults": user(1, id=1) + certificate(created_by=1) + insert("candidate_forms", candidate_name="N", phone_number="1",
                                                             created_at=0),
    "every script and its signs": certificate(candidate_name="आशा 😀 ആശ"),
    "the largest sum": insert("manager_salary_certificates", **{**OWN_COLUMNS["manager_salary"], "code": "A" * 27,
                                                               "monthly_salary": 2**53, "generated_at": 2**53}),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_schema__both_accept(mariadb, what):
    mariadb.sql("START TRANSACTION;" + ACCEPTED[what] + "ROLLBACK")
    with sqlite3.connect(":memory:") as db:
        db.executescript("PRAGMA foreign_keys = ON;" + SQLITE_FILE.read_text() + ACCEPTED[what])
    db.close()


def test_schema__an_address_that_only_looks_like_mine_is_not_mine(mariadb):
    mine, alike = user(1, email="jose@example.com"), "jos\u00e9@example.com"
    assert "ERROR 1366" in mariadb.refusal("START TRANSACTION;" + user(1, email=alike))
    assert "ERROR 1267" in mariadb.refusal(f"START TRANSACTION; {mine} SELECT id FROM users WHERE email = '{alike}'")


def test_schema__json_comes_back_as_it_was_written(mariadb):
    written = '{"zebra": 1,  "ant": [true, 1.50], "zebra2": "\u0906"}'
    read = mariadb.sql("START TRANSACTION;" + certificate(certificate_data=written) +
                       "SELECT certificate_data FROM spa_therapist_certificates; ROLLBACK")
    assert read[1:] == [written]


# -- plans ----------------------------------------------------------------------------------------------------------------------

# As in the program: the hint is a comment to all but MySQL and MariaDB, which without it may read an index from its
# beginning to the place where the page begins.
AFTER = "is_public = 1 AND generated_at <= {at} AND (generated_at < {at} OR id > {id})"
NEWEST_FIRST = " ORDER BY generated_at DESC, id"
MIDDLE = {"at": FIRST_MOMENT + 75_000_000, "id": THERAPISTS // 2}
BEGINNING = {"at": 2**63 - 1, "id": 0}
END = {"at": FIRST_MOMENT + 100_000, "id": 5}


def after(category, place):
    return f"{category}_certificates /*! FORCE INDEX (idx_{category}_public) */ WHERE {AFTER.format(**place)}{NEWEST_FIRST}"


def page(category, place, limit=21):
    return f"SELECT * FROM {after(category, place)} LIMIT {limit}"


def keys(kind, condition, limit):
    """The next keys of all categories: SQLite merges them one by one, MariaDB sorts what a LIMIT leaves of each."""
    before, behind = ("(", f"{NEWEST_FIRST} LIMIT {limit})") if kind == "mariadb" else ("", "")
    return " UNION ALL ".join(
        f"{before}SELECT {i} AS category, generated_at, id FROM {name}_certificates "
        f"/*! FORCE INDEX (idx_{name}_public) */ WHERE {condition}{behind}" for i, name in enumerate(CATEGORIES)) + \
        f"{NEWEST_FIRST}, category LIMIT {limit}"


def page_of_all(kind, place=None, limit=21):
    """The page behind a place; the first one."""
    codes = ", ".join(f"t{i}.code" for i in range(len(CATEGORIES)))
    joins = " ".join(f"LEFT JOIN {name}_certificates AS t{i} ON t{i}.id = CASE k.category WHEN {i} THEN k.id END"
                     for i, name in enumerate(CATEGORIES))
    condition = AFTER.format(**place) if place else "is_public = 1"
    return f"SELECT k.category, k.id, k.generated_at, COALESCE({codes}, NULL) FROM ({keys(kind, condition, limit)}) AS k " \
           f"{joins} ORDER BY k.generated_at DESC, k.id, k.category"


def find(wanted):
    return " UNION ALL ".join(f"SELECT {i} AS category, id, serial, certificate_data FROM {name}_certificates "
                              f"WHERE code = {wanted} AND is_public = 1" for i, name in enumerate(CATEGORIES)) + " LIMIT 1"


TEMPLATES_SHOWN = "SELECT * FROM certificate_templates WHERE is_public = 1 AND is_active = 1"
SPAS_SHOWN = "SELECT * FROM spa WHERE is_active = 1"
FORMS_OF = "SELECT * FROM {}_forms WHERE {} = 3 ORDER BY created_at DESC, id LIMIT 21"

PLANS = {
    "idx_cert_templates_public_active": [
        TEMPLATES_SHOWN + " ORDER BY category, id LIMIT 1000",
        TEMPLATES_SHOWN + " AND category = 'id_card' ORDER BY id LIMIT 1000"],
    "idx_cert_templates_variant": [
        TEMPLATES_SHOWN + " AND category = 'id_card' AND template_variant = 'v3' ORDER BY id LIMIT 1000"],
    "idx_spa_therapist_public": [
        *(page("spa_therapist", place) for place in (BEGINNING, MIDDLE, END)),
        f"SELECT * FROM spa_therapist_certificates WHERE is_public = 1{NEWEST_FIRST} LIMIT 21 OFFSET 0",
        f"SELECT * FROM spa_therapist_certificates WHERE is_public = 1{NEWEST_FIRST} LIMIT 21 OFFSET 2000"],
    "idx_spa_therapist_user": [
        f"SELECT * FROM spa_therapist_certificates WHERE created_by = 3{NEWEST_FIRST} LIMIT 21"],
    "idx_candidate_forms_spa": [FORMS_OF.format("candidate", "spa_id")],
    "idx_candidate_forms_user": [FORMS_OF.format("candidate", "created_by")],
    "idx_hiring_forms_spa": [FORMS_OF.format("hiring", "spa_id")],
    "idx_hiring_forms_user": [FORMS_OF.format("hiring", "created_by")],
    "idx_users_email": ["SELECT * FROM users WHERE email = 'u7@example.com'"],
    "idx_users_username": ["SELECT * FROM users WHERE username = 'u7'"],
    "idx_spa_code": ["SELECT * FROM spa WHERE code = 'S7'"],
    "idx_spa_active": [SPAS_SHOWN + " ORDER BY name, id LIMIT 21 OFFSET 40"],
    "idx_spa_city": [SPAS_SHOWN + " AND city = 'City 7' ORDER BY name, id LIMIT 21 OFFSET 0"],
    **{f"idx_{category}_public": [page(category, place) for place in (BEGINNING, MIDDLE, END)]
       for category in CATEGORIES[1:]},
    **{f"idx_{category}_user": [
        f"SELECT * FROM {category}_certificates WHERE created_by = 3{NEWEST_FIRST} LIMIT 21"]
       for category in CATEGORIES[1:]},
}

INDEXED = {"const", "eq_ref", "ref", "range"}      # how MariaDB may reach a row


def plan_of(db, sql):
    """MariaDB's plan: a dict a table."""
    return db.rows("EXPLAIN " + sql)


def assert_indexed(row, index, sql):
    """One table of MariaDB's plan is read from one index, in its order."""
    assert row["key"] == index and row["type"] in INDEXED, f"{sql}\n{row}"
    assert not re.search("filesort|temporary|Full scan", row["Extra"] or ""), f"{sql}\n{row}"


@pytest.mark.parametrize("index", PLANS)
def test_plan__mariadb_reads_each_list_from_its_index_without_a_sort(million, index):
    for sql in PLANS[index]:
        plan = plan_of(million["mariadb"], sql)
        assert len(plan) == 1
        assert_indexed(plan[0], index, sql)


@pytest.mark.parametrize("place", [BEGINNING, MIDDLE, END], ids=["beginning", "middle", "end"])
def test_plan__a_page_by_cursor_is_a_range_of_both_columns_in_mariadb(million, place):
    for category in CATEGORIES:
        row = plan_of(million["mariadb"], page(category, place))[0]
        assert (row["type"], row["key_len"]) == ("range", "9"), row       # is_public: 1 byte, generated_at: 8


@pytest.mark.parametrize("place", [None, MIDDLE, END], ids=["beginning", "middle", "end"])
def test_plan__a_page_of_all_categories_is_their_keys_and_its_rows_in_mariadb(million, place):
    plan = plan_of(million["mariadb"], page_of_all("mariadb", place))
    reads = [row for row in plan if row["table"].endswith("_certificates")]
    assert [row["table"] for row in reads] == [f"{category}_certificates" for category in CATEGORIES]
    for row, category in zip(reads, CATEGORIES):
        assert_indexed(row, f"idx_{category}_public", "keys")
        assert "Using index" in row["Extra"].split("; "), row
        assert row["type"] == ("range" if place else "ref"), row
    joined = [row for row in plan if re.fullmatch(r"t\d", row["table"])]
    assert [(row["type"], row["key"]) for row in joined] == [("eq_ref", "PRIMARY")] * len(CATEGORIES)
    for row in plan:      # what is sorted are the keys that are left, and the page
        assert "filesort" not in (row["Extra"] or "") or row["table"].startswith("<"), row


@pytest.fixture(scope="module", params=["as it is", "analyzed"])
def sqlite_plans(million, request):
    """SQLite plans otherwise once it has counted."""
    if request.param == "analyzed":
        million["sqlite"].execute("ANALYZE")
    return lambda sql: [row[3] for row in million["sqlite"].execute("EXPLAIN QUERY PLAN " + sql)]


@pytest.mark.parametrize("index", PLANS)
def test_plan__sqlite_reads_each_list_from_its_index_without_a_sort(sqlite_plans, index):
    for sql in PLANS[index]:
        plan = sqlite_plans(sql)
        assert len(plan) == 1 and plan[0].startswith("SEARCH") and index in plan[0].split(), f"{sql}\n{plan}"


@pytest.mark.parametrize("place", [BEGINNING, MIDDLE, END], ids=["beginning", "middle", "end"])
def test_plan__a_page_by_cursor_is_a_range_of_both_columns_in_sqlite(sqlite_plans, place):
    for category in CATEGORIES:
        assert sqlite_plans(page(category, place))[0].endswith("(is_public=? AND generated_at<?)")


@pytest.mark.parametrize("place", [None, MIDDLE], ids=["beginning", "middle"])
def test_plan__a_page_of_all_categories_is_their_keys_and_its_rows_in_sqlite(sqlite_plans, place):
    plan = sqlite_plans(page_of_all("sqlite", place))
    assert [line for line in plan if "TEMP" in line] == ["USE TEMP B-TREE FOR ORDER BY"], "more than the page is sorted"
    assert len([line for line in plan if "USING INTEGER PRIMARY KEY" in line]) == len(CATEGORIES)
    reads = [line for line in plan if "_certificates" in line]
    assert len(reads) == len(CATEGORIES)
    for line, category in zip(reads, CATEGORIES):
        assert line.startswith("SEARCH") and f"COVERING INDEX idx_{category}_public" in line, line


# -- what is read ------------------------------------------------------------------------------------------------------------------

def rows_read(db, sql):
    """The result of a statement, and how many rows and index entries MariaDB touched for it, also those that its
    engine passed over by itself."""
    lines = db.sql(f"FLUSH STATUS; {sql}; SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler\\_read%' "
                   "OR Variable_name = 'Handler_icp_attempts'")
    end = lines.index("Variable_name\tValue")
    counters = {name: int(value) for name, value in (line.split("\t") for line in lines[end + 1:])}
    touched = sum(counters.values()) - counters["Handler_icp_attempts"]
    return [line.split("\t") for line in lines[1:end]], max(touched, counters["Handler_icp_attempts"])


def steps_of(db, sql):
    """The result of a statement, and how many instructions SQLite's machine ran for it."""
    taken = 0

    def step():
        nonlocal taken
        taken += 1
        return 0
    db.set_progress_handler(step, 1)
    rows = db.execute(sql).fetchall()
    db.set_progress_handler(None, 1)
    return rows, taken


COST = {"mariadb": rows_read, "sqlite": steps_of}


def place_after(run, db, number):
    """Where the page after `number` rows of the first category begins."""
    rows, _ = run(db, "SELECT generated_at, id FROM spa_therapist_certificates WHERE is_public = 1"
                      f"{NEWEST_FIRST} LIMIT 1 OFFSET {number - 1}")
    return {"at": int(rows[0][0]), "id": int(rows[0][1])}


@pytest.mark.parametrize("kind", COST)
@pytest.mark.parametrize("number", [2, 5_000, 20_999])
def test_cost__a_late_page_reads_what_the_first_does(million, kind, number):
    run, db = COST[kind], million[kind]
    place = place_after(run, db, 20 * (number - 1))
    for statement in (lambda at: page("spa_therapist", at), lambda at: page_of_all(kind, at)):
        first, least = run(db, statement(BEGINNING))
        late, taken = run(db, statement(place))
        assert len(late) == len(first) and late != first
        assert taken <= 1.2 * least + 8, f"{taken} against {least}"      # 8: certificates of the same moment


@pytest.mark.parametrize("kind", COST)
def test_cost__pages_follow_each_other(million, kind):
    run, db = COST[kind], million[kind]
    columns = "SELECT id, generated_at FROM spa_therapist_certificates"
    expected, _ = run(db, f"{columns} WHERE is_public = 1{NEWEST_FIRST} LIMIT 60 OFFSET 100000")
    place, seen = place_after(run, db, 100_000), []
    while len(seen) < 60:
        rows, _ = run(db, page("spa_therapist", place, 7).replace("*", "id, generated_at", 1))
        seen += rows
        place = {"at": rows[-1][1], "id": rows[-1][0]}
    assert seen[:60] == expected


@pytest.mark.parametrize("kind", COST)
def test_cost__a_code_is_one_look_into_each_category(million, kind):
    run, db = COST[kind], million[kind]
    for category in (0, 7):
        text = db.value(f"SELECT code FROM {CATEGORIES[category]}_certificates WHERE id = 30001") if kind == "mariadb" \
            else db.execute(f"SELECT code FROM {CATEGORIES[category]}_certificates WHERE id = 30001").fetchone()[0]
        rows, taken = run(db, find(repr(text)))
        assert [list(map(int, row[:2])) for row in rows] == [[category, 30001]]
        assert taken <= {"mariadb": len(CATEGORIES), "sqlite": 200}[kind]
    rows, taken = run(db, find(repr("Z" * 27)))
    assert not rows and taken <= {"mariadb": len(CATEGORIES), "sqlite": 200}[kind]


def test_cost__the_page_of_all_categories_is_the_same_in_both(million):
    for place in (None, MIDDLE, END):
        in_mariadb, _ = rows_read(million["mariadb"], page_of_all("mariadb", place))
        in_sqlite, _ = steps_of(million["sqlite"], page_of_all("sqlite", place))
        assert len(in_sqlite) == 21
        assert [tuple(map(int, row[:3])) for row in in_mariadb] == [row[:3] for row in in_sqlite]
