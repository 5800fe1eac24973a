"""Reference inputs of a run: parameters, vocabularies, the calendar, the landing zone and quarantined shares, as ibis tables in the consumer's engine.

What belongs here: what stands behind a name that no run writes. What does not: reading the files (parameter_files.py), the figures, and what
a table does with them.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import ibis.expr.types as ir

from resources.expressions import unbound
from resources.recipes import content_of_rows
from resources.session import Session
from resources.sessions import permanent, session_of
from resources.storage import COLUMN_SCHEMA, landing_name, pg_type, plain, spec_of, unfolded

if TYPE_CHECKING:
    import pyarrow as pa


class ReferenceIOManager(dg.IOManager):
    """Loads what no run writes. The asset key's first part says what it is."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        raise dg.DagsterInvariantViolationError("reference inputs are files, not outputs")

    @permanent
    def load_input(self, context: dg.InputContext) -> ir.Table:
        from resources.parameter_files import months_of, physical_type

        session, metadata = session_of(context), context.upstream_output.definition_metadata
        kind, name = context.asset_key.path
        if kind == "landing":
            landing = landing_name(name)
            session.pin(landing, context.asset_key)
            return unbound(landing, [(c.name, c.type) for c in plain(metadata[COLUMN_SCHEMA]).columns])
        if kind == "calendar":
            rows = months_of(session.as_of, session.customer.reporting.months)
        else:
            rows = _shares(context, session) if kind == "accounting" else _reference(session, kind, name, metadata)
        session.pin(name, context.asset_key, content=content_of_rows(rows))
        if context.definition_metadata["strata/consumer"] == "platinum":
            _copy_to_postgres(session, name, rows)
        else:
            session.con.register(name, rows)
        return unbound(name, [(field.name, physical_type(field.type)) for field in rows.schema])


def _shares(context: dg.InputContext, session: Session) -> pa.Table:
    """The sources behind the other inputs of the step. Dagster loads inputs in the order of the function's arguments, so this one comes last."""
    from resources.accounting import as_arrow, shares_behind

    names = [given.name for given in context.step_context.op_def.input_defs]
    if names.index(context.name) != len(names) - 1:
        raise dg.DagsterInvariantViolationError(f"{context.name} must be the last argument: it is about the inputs before it")
    read = [session.sources[name].version for name in names if name in session.sources]
    return as_arrow(shares_behind(session.lock, session.customer_id, [version for version in read if version]))


def _reference(session: Session, kind: str, name: str, metadata: Any) -> pa.Table:
    """A reference file as the run's state of parameters has it."""
    from resources.parameter_rules import RowRules
    from resources.parameter_state import read_state

    rules = RowRules(**{declared: tuple(said) for declared, said in unfolded(metadata["strata/row_rules"]).items()})
    if session.run.parameters is None:
        raise dg.DagsterInvariantViolationError("this session was opened without parameters")
    return read_state(session.run.parameters, kind, spec_of(name, metadata), unfolded(metadata["strata/limits"]), rules)


def _copy_to_postgres(session: Session, name: str, rows: pa.Table) -> None:
    """A temporary table of the platinum session."""
    from resources.parameter_files import physical_type

    declared = ", ".join(f'"{field.name}" {pg_type(physical_type(field.type))}' for field in rows.schema)
    connection = session.warehouse
    connection.execute(f'CREATE TEMP TABLE IF NOT EXISTS "{name}" ({declared})')
    connection.execute(f'TRUNCATE "{name}"')
    with connection.cursor().copy(f'COPY "{name}" FROM STDIN') as copy:
        for row in rows.to_pylist():
            copy.write_row(list(row.values()))
    connection.commit()


@dg.io_manager(required_resource_keys={"sessions"})
def reference_io_manager(_context: dg.InitResourceContext) -> ReferenceIOManager:
    return ReferenceIOManager()
