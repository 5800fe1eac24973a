"""Bringing an approved release to customers, ring by ring, and taking it back.

What belongs here: who is waiting, in which order they are reached, and moving pointers back. What does not: launching (cli/release.py) and
judging (gate.py).
"""
from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from partitions.customers import Customer
from partitions.errors import ReleaseError
from platform_assets.contracts import code_of
from platform_assets.publication import release, roll_back
from platform_assets.releases.gate import contracts_of
from platform_assets.releases.movements import Figures, figures
from resources import releases, versions
from resources.parameter_state import state_hash, state_of
from resources.postgres import BACKUP, Postgres
from resources.session import Session


def standing(postgres: Postgres, customers: Mapping[str, Customer], domain: str) -> dict[str, tuple[releases.Release | None, bool]]:
    """Customer -> what its live figures are made by, and whether it waits for the installed release."""
    code, found = code_of(contracts_of(domain)), {}
    with postgres.connect(BACKUP) as connection:
        for name in customers:
            live = releases.newest(connection, name, domain)
            here = releases.MadeBy(code, state_hash(state_of(postgres.settings, name).name), releases.libraries_here())
            found[name] = (live, releases.is_waiting(live, here))
    return found


def live_figures(postgres: Postgres, customer: str, domain: str) -> Figures:
    """The reported figures that a customer's readers see."""
    with postgres.connect(BACKUP) as connection:
        return figures(connection, customer, contracts_of(domain), versions.live(connection, customer))


def rings(customers: Mapping[str, Customer]) -> list[tuple[int, list[str]]]:
    """Ring -> its customers, the first ring first."""
    found: dict[int, list[str]] = {}
    for name, one in sorted(customers.items()):
        found.setdefault(one.ring, []).append(name)
    return sorted(found.items())


def promoted_tables(everything: frozenset[dg.AssetKey], renewed: frozenset[dg.AssetKey]) -> frozenset[dg.AssetKey]:
    """What a promotion computes: everything but the raw data, which must stay what they are. `renewed`: tables of bronze that the release reads otherwise."""
    return frozenset(key for key in everything if key.path[1:2] != ["bronze"] or key in renewed)


def take_back(session: Session, domain: str, name: str) -> tuple[str, int]:
    """Show a customer the figures of before a release; raises ReleaseError. Returns the release that is live again and the tables that moved.

    Nothing is held: runs of the installed release are turned away as long as the customer is not promoted to it again."""
    found = releases.newest(session.lock, session.customer_id, domain)
    if found is None or found.name != name:
        raise ReleaseError(f"its figures are not those of {name}" + (f" but of {found.name}" if found else ""), customer=session.customer_id,
                           fix="`strata release status` says whose they are")
    earlier = releases.before(session.lock, session.customer_id, domain, name)
    number = session.lock.execute("SELECT max(publication_id) FROM platform.publication WHERE customer_id = %s AND domain = %s AND publication_id < %s",
                                  [session.customer_id, domain, found.publication_id]).fetchone()[0]
    if earlier is None or number is None:
        raise ReleaseError(f"{name} is the first release of its figures", customer=session.customer_id, fix="there is nothing to go back to")
    _, publication, moved = roll_back(session, domain, number)
    release(session, domain)
    with session.lock.transaction():
        back = releases.Release(earlier.name, "rolled back", earlier.code, earlier.parameters, earlier.libraries, publication, session.run.run_id)
        releases.record(session.lock, session.customer_id, domain, back)
    return earlier.name, moved
