"""What one customer's session may take up: memory, threads and scratch space of its DuckDB, and of PostgreSQL what its roles may.

What belongs here: the figures of each size class and the customer's own quotas over them. What does not: applying them (session.py,
postgres.py) and limits on deliveries (quotas.py). A sandbox is no limit of resources (RELIABILITY 2.2), so this stands beside it.

DuckDB's limits are locked with the session. Of PostgreSQL's, connections and temporary files are hard; a statement's time and its memory are
a role's defaults, which SQL of the same role may raise again.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from partitions.customers import Customer
from resources.postgres import READER_SETTINGS, lake_role, reader_role

READER_CONNECTIONS = 10


@dataclass(frozen=True)
class SessionLimits:
    """`memory_mb`, `threads`, `temp_gb`: of DuckDB. `connections`: of the customer's role, all sessions together; a run holds at most three
    and those with which DuckDB reads a warehouse table in parallel, `scanners`. `statement_minutes`: of one statement in PostgreSQL."""

    memory_mb: int
    threads: int
    temp_gb: int
    connections: int
    statement_minutes: int
    work_mem_mb: int = 64

    @property
    def scanners(self) -> int:
        """Connections of one attached database."""
        return max(2, self.threads)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the customer's role, as PostgreSQL writes them. A run's transaction waits for DuckDB, so idling takes as long as a statement."""
        return {"statement_timeout": f"{self.statement_minutes}min", "idle_in_transaction_session_timeout": f"{self.statement_minutes}min",
                "work_mem": f"{self.work_mem_mb}MB", "temp_file_limit": f"{self.temp_gb}GB"}


BY_SIZE = {
    "small": SessionLimits(memory_mb=512, threads=1, temp_gb=10, connections=16, statement_minutes=30),
    "medium": SessionLimits(memory_mb=1024, threads=2, temp_gb=50, connections=16, statement_minutes=60),
    "giant": SessionLimits(memory_mb=4096, threads=4, temp_gb=200, connections=24, statement_minutes=180),
}


def session_limits(customer: Customer) -> SessionLimits:
    """Those of the customer's size class, with what its file says otherwise (its bounds: partitions/customers.py)."""
    quotas = customer.quotas
    said = {"memory_mb": quotas.memory_mb, "threads": quotas.threads, "temp_gb": quotas.temp_gb, "connections": quotas.connections,
            "statement_minutes": quotas.statement_minutes}
    return replace(BY_SIZE[customer.size_class], **{name: value for name, value in said.items() if value is not None})


def role_limits(customer: Customer) -> dict[str, tuple[int, Mapping[str, str]]]:
    """Role -> connections and settings, of the roles that the customer's file gives it."""
    limits = session_limits(customer)
    found: dict[str, tuple[int, Mapping[str, str]]] = {lake_role(customer.id): (limits.connections, limits.settings)}
    if customer.direct_readers:
        found[reader_role(customer.id)] = (READER_CONNECTIONS, READER_SETTINGS)
    return found


def differing(wanted: tuple[int, Mapping[str, str]], stands: tuple[int, Mapping[str, str]]) -> str:
    """How a role's limits stand against the wanted ones, in words; empty where they are the same."""
    now, then = ({"connections": str(connections), **settings} for connections, settings in (stands, wanted))
    return ", ".join(f"{name} {now.get(name, 'none')} -> {value}" for name, value in then.items() if now.get(name) != value)
