"""Attack cases 5, 6, 7 and 19: a connection that serves one customer after the other, what is left of a failed request, and what counting tells."""
from __future__ import annotations

import json
import queue
import re
import statistics
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from resources.postgres import READER, SUPERUSER
from resources.settings import PROJECT
from tests.isolation.canaries import CUSTOMERS, OTHERS, OWN, Copy, canary, foreign, qualified

THREADS, CONNECTIONS, REQUESTS = 16, 4, 1_000
BIND = "SELECT set_config('app.customer_id', %s, true)"
KEPT = re.compile(r"\bset\s+(session\s+)?app\.customer_id|set_config\(\s*'app\.customer_id'[^)]*,\s*false\s*\)", re.IGNORECASE)


def request(connection: psycopg.Connection, name: str, relation: str) -> list[tuple]:
    """A request as the front end makes it: its customer is local to its transaction."""
    with connection.transaction():
        connection.execute(BIND, [name])
        return connection.execute(sql.SQL("SELECT * FROM {}").format(qualified(relation))).fetchall()


def test_case_05_a_thousand_alternating_requests_on_shared_connections_see_their_own_customer(marked: Copy) -> None:
    readable = marked.readable(READER)
    pool: queue.Queue[psycopg.Connection] = queue.Queue()
    wrong: list[str] = []
    for _ in range(CONNECTIONS):
        pool.put(marked.connect(READER, autocommit=True))

    def serve(first: int) -> None:
        for number in range(first, REQUESTS, THREADS):
            name, connection = CUSTOMERS[number % len(CUSTOMERS)], pool.get()
            try:
                told = request(connection, name, readable[number % len(readable)])
                if not told or foreign(told, name):
                    wrong.append(f"request {number} of {name}")
            finally:
                pool.put(connection)

    threads = [threading.Thread(target=serve, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while not pool.empty():
        pool.get().close()
    assert wrong == []


@pytest.mark.parametrize("ending", ["error", "timeout", "cancel", "rollback"])
def test_case_06_after_a_request_that_did_not_end_well_the_connection_is_nobodys(marked: Copy, ending: str) -> None:
    relation = marked.readable(READER)[0]
    with marked.connect(READER, autocommit=True) as connection:
        def fail() -> None:
            with connection.transaction():
                connection.execute(BIND, [OWN])
                assert connection.execute(sql.SQL("SELECT count(*) FROM {}").format(qualified(relation))).fetchone()[0] > 0
                if ending == "cancel":
                    threading.Timer(0.1, connection.cancel_safe).start()
                if ending == "timeout":
                    connection.execute("SET LOCAL statement_timeout = 50")
                if ending == "rollback":
                    raise psycopg.Rollback
                connection.execute("SELECT 1 / 0" if ending == "error" else "SELECT pg_sleep(5)")

        if ending == "rollback":
            fail()
        else:
            with pytest.raises((psycopg.errors.DivisionByZero, psycopg.errors.QueryCanceled)) as told:
                fail()
            assert foreign(told.value) == []
        assert connection.execute(sql.SQL("SELECT count(*) FROM {}").format(qualified(relation))).fetchone() == (0,)
        assert foreign(request(connection, OTHERS[0], relation), OTHERS[0]) == []


def kept_customers(text: str) -> list[str]:
    """Where a source binds a customer for longer than a transaction."""
    return [found[0] for found in KEPT.finditer(text)]


def test_case_07_no_source_binds_a_customer_for_longer_than_a_transaction() -> None:
    """But by an option of a connection that one customer alone uses (resources/postgres.py). The second half shows that the rule sees."""
    sources = [path for folder in ("cli", "partitions", "resources", "platform_assets", "migrations") for path in Path(PROJECT / folder).rglob("*") if path.suffix in (".py", ".sql")]
    assert len(sources) > 100
    assert {path.name: kept_customers(path.read_text(encoding="utf-8")) for path in sources if kept_customers(path.read_text(encoding="utf-8"))} == {}
    assert kept_customers("SET app.customer_id = 'acme'")
    assert kept_customers("set session app.customer_id to 'acme'")
    assert kept_customers("SELECT set_config('app.customer_id', %s, false)")
    assert not kept_customers("SET LOCAL app.customer_id = 'acme'")
    assert not kept_customers(BIND)


def test_case_19_asking_for_another_customer_costs_the_same_whether_it_is_there_or_not(marked: Copy) -> None:
    """Pages that are touched, which is what time is made of, and the medians of 200 alternating requests within each other's spread."""
    relation = "greenit_platinum.kpi_monthly"
    with marked.connect(SUPERUSER, autocommit=True) as connection:  # so many rows that a scan of them would show
        statement, values = marked.insert(relation, OTHERS[0], 3)
        columns = [column for column, *_ in marked.columns(relation)]
        changed = next(column for column, kind, _ in marked.columns(relation) if kind == "text" and column not in ("customer_id",))
        connection.execute(statement, values)
        listed = sql.SQL(", ").join(sql.SQL("{} || n").format(sql.Identifier(c)) if c == changed else sql.Identifier(c) for c in columns)
        connection.execute(sql.SQL("INSERT INTO {0} ({1}) SELECT {2} FROM {0}, generate_series(1, 20000) n WHERE customer_id = %s AND {3} = %s").format(
            qualified(relation), sql.SQL(", ").join(map(sql.Identifier, columns)), listed, sql.Identifier(changed)), [OTHERS[0], canary(OTHERS[0], f"{changed}-3")])
        connection.execute("VACUUM ANALYZE greenit_platinum.kpi_monthly")
    taken: dict[str, list[float]] = {OTHERS[0]: [], "nobody": []}
    pages: dict[str, int] = {}
    with marked.connect(READER, OWN, autocommit=True) as connection:
        for number in range(400):
            name = (OTHERS[0], "nobody")[number % 2]
            started = time.perf_counter()
            assert connection.execute("SELECT count(*) FROM greenit_platinum.kpi_monthly WHERE customer_id = %s", [name]).fetchone() == (0,)
            taken[name].append(time.perf_counter() - started)
        for name in taken:
            plan = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT count(*) FROM greenit_platinum.kpi_monthly WHERE customer_id = '{name}'").fetchone()[0]
            plan = json.loads(plan) if isinstance(plan, str) else plan
            pages[name] = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert abs(pages[OTHERS[0]] - pages["nobody"]) <= 2, pages
    there, absent = (statistics.median(times) for times in taken.values())
    assert abs(there - absent) <= max(statistics.quantiles(taken["nobody"], n=4)[2] - statistics.quantiles(taken["nobody"], n=4)[0], absent / 2)
