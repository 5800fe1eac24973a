"""The Dagster resource through which assets' IO managers and checks reach their customer's session.

What belongs here: one session per customer and run, who the customer of a context is, and turning our permanent errors into failures that
Dagster does not retry. What does not: anything a session does (session.py).
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import duckdb
import psycopg

from partitions.customers import customer, refuse_paused
from partitions.errors import CustomerError, PermanentError, SettingsError
from resources.facts import without_values
from resources.parameter_state import state_of
from resources.postgres import Postgres
from resources.releases import is_guarded, refuse_waiting
from resources.revision import code_commit
from resources.session import RunIdentity, Session
from resources.settings import Settings, settings
from resources.storage import TableSpec, spec_of
from resources.usage import RULES, TABLE, Meter

AS_OF_TAG = "strata/as_of"
PARAMETERS_TAG = "strata/parameters"
PAUSED_TAG = "strata/even_if_paused"
RELEASE_TAG = "strata/release"
RECOMPUTE_TAG = "strata/recompute"
SOURCE_TAG = "strata/source_snapshot"  # of production's lake, where bronze is copied from it


class Sessions:
    """Sessions of one run, opened at first use. A run touches one customer: a second one is refused."""

    def __init__(self, run: RunIdentity, configured: Settings, domain: str, pin: str | None = None, even_if_paused: bool = False,
                 lake_specs: tuple[TableSpec, ...] = ()) -> None:
        self.run, self.settings, self.domain, self.pin, self.even_if_paused, self.lake_specs = run, configured, domain, pin, even_if_paused, lake_specs
        self.postgres = Postgres(configured)
        self.meter = Meter()
        self._session: Session | None = None

    def of(self, customer_id: str) -> Session:
        """The customer's session. Raises CustomerError for a second or a paused customer, ReleaseError for one whom the release has not reached."""
        if self._session is None:
            found = customer(customer_id, self.settings.customers)
            refuse_paused(found, self.even_if_paused)
            state = state_of(self.settings, found.id, self.pin)
            made = Session(self.settings, self.postgres, found, replace(self.run, parameters=state, parameter_version=state.name), self.meter,
                           lake_specs=self.lake_specs)
            try:
                if is_guarded(self.settings) and not self.run.release:
                    refuse_waiting(made.lock, found.id, self.domain, made.run.made_by)
            except BaseException:  # an interrupt too leaves no lock held
                made.close()
                raise
            self._session = made
        elif self._session.customer_id != customer_id:
            raise CustomerError("this run already belongs to another customer", customer=customer_id, fix="launch one run per customer")
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


def parse_as_of(text: str | None) -> date | None:
    """The tag's date; raises SettingsError for anything but YYYY-MM-DD."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"the run tag {AS_OF_TAG} is no date", fix="write it as YYYY-MM-DD") from None


def parse_snapshot(text: str | None) -> int | None:
    """The tag's number; raises SettingsError for anything but digits."""
    if text is not None and not text.isdecimal():
        raise SettingsError(f"the run tag {SOURCE_TAG} is no number of a snapshot", fix="write it in digits")
    return None if text is None else int(text)


def sessions_of(domain: str, code: str, specs: Iterable[TableSpec]) -> dg.ResourceDefinition:
    """The resource of a code location. `code`: the hash of the fingerprints of its tables, `specs`."""
    lake_specs = tuple(spec for spec in specs if spec.in_lake)

    @dg.resource(description="The run's session with its customer's lake and the warehouse.")
    def sessions(context: dg.InitResourceContext) -> Iterator[Sessions]:
        tags = context.run.tags if context.run else {}
        identity = RunIdentity(
            run_id=context.run_id or "none",
            as_of=parse_as_of(tags.get(AS_OF_TAG)),
            code_commit=code_commit(),
            parameter_version="none",
            source_snapshot=parse_snapshot(tags.get(SOURCE_TAG)),
            code=code,
            release=tags.get(RELEASE_TAG),
            recomputes=tags.get(RECOMPUTE_TAG) == "true",
        )
        made = Sessions(identity, settings(), domain, tags.get(PARAMETERS_TAG), tags.get(PAUSED_TAG) == "true", lake_specs)
        try:
            yield made
        finally:
            made.close()

    return sessions


def session_of(context: Any) -> Session:
    """The session of an IO manager's context."""
    return _session(context.step_context, context.resources.sessions)


def spec_of_output(context: dg.OutputContext) -> TableSpec:
    return spec_of(context.asset_key.path[-1], context.definition_metadata)


def spec_of_input(context: dg.InputContext) -> TableSpec:
    return spec_of(context.asset_key.path[-1], context.upstream_output.definition_metadata)


def permanent(function: Callable) -> Callable:
    """Errors that would come again become failures without retry, with their place as metadata; an engine's own errors lose the values they quote."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except PermanentError as error:
            place = {name: str(value) for name, value in error.place.items()}
            raise dg.Failure(description=str(error), metadata={**place, "fix": error.fix or "-"}, allow_retries=False) from error
        except (duckdb.Error, psycopg.Error) as error:
            raise dg.Failure(description=f"{type(error).__name__}: {without_values(str(error))}") from None  # its cause would show them again

    return wrapped


@permanent
def session_of_step(context: Any, checked: str | None = None) -> Session:
    """The session of a check's or an asset's own context. `checked`: the table that a step of checks is about."""
    return _session(context, context.resources.sessions, checked)


def _session(step: Any, held: Sessions, checked: str | None = None) -> Session:
    """Who asks is who takes up what follows: the meter runs for its table from here on."""
    if not step.has_partition_key:
        raise CustomerError("a run needs exactly one customer as its partition", fix="launch it with one partition key")
    held.meter.at(checked or table_of_step(step.op_def.name), RULES if checked else TABLE)
    return held.of(step.partition_key)


def table_of_step(name: str) -> str:
    """`greenit__gold__activity`, as Dagster names the step of an asset, is `greenit_gold.activity`."""
    *schema, table = name.split("__")
    return f"{'_'.join(schema)}.{table}"
