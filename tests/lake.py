"""Reading a customer's lake in tests, through the customer's own session."""
from __future__ import annotations

from datetime import date
from typing import Any

from partitions.customers import customer
from resources.session import RunIdentity, Session
from tests.installation import Installation


def session_for(installation: Installation, name: str) -> Session:
    """A session as a run has it; close it."""
    identity = RunIdentity("test", date(2024, 9, 30), "test", "test")
    return Session(installation.settings, installation.postgres, customer(name, installation.settings.customers), identity)


def lake_rows(installation: Installation, name: str, statement: str) -> list[dict[str, Any]]:
    session = session_for(installation, name)
    try:
        return session.con.execute(statement).to_arrow_table().to_pylist()
    finally:
        session.close()


def quarantine(installation: Installation, name: str, layer: str) -> list[dict[str, Any]]:
    return lake_rows(installation, name, f"SELECT * FROM lake.greenit_{layer}.quarantine ORDER BY table_name, _row")
