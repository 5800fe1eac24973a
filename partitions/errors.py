"""Every error that Strata raises on purpose.

What belongs here: one class per kind of trouble, building a message that names customer, table, file, row, column and the fix.
What does not: values of customers' data (ARCHITECTURE 15 keeps them in quarantine) and errors of libraries, which pass through.
"""
from __future__ import annotations

from typing import Any


class StrataError(Exception):
    """Base of all errors that a user can act on. `place` holds customer, table, file, row, column where they are known."""

    def __init__(self, problem: str, *, fix: str = "", **place: Any) -> None:
        self.problem, self.fix = problem, fix
        self.place = {name: value for name, value in place.items() if value is not None}
        where = ", ".join(f"{name} {printable(value)}" for name, value in self.place.items())
        super().__init__("".join([f"[{where}] " if where else "", problem, f". Fix: {fix}" if fix else ""]))


def printable(value: Any) -> str:
    """A name as one line of visible characters, so that a hostile file name cannot forge a log line."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


class PermanentError(StrataError):
    """Trouble that the same run on the same inputs would meet again: Dagster does not retry it."""


class CustomerError(PermanentError):
    """An unknown customer, an identifier that is not allowed, or a customer file that does not validate."""


class DeliveryError(PermanentError):
    """A file that cannot be accepted as a delivery: missing, empty, wrong header, not the declared format, foreign owner."""


class QuotaError(DeliveryError):
    """A delivery that would take a customer over a limit of its file."""


class ErasureError(PermanentError):
    """A customer that cannot be removed now, or an id that was erased and is asked for again."""


class ContractError(PermanentError):
    """A contract that does not validate, or a table that does not keep the contract."""


class ParameterError(PermanentError):
    """A parameter or vocabulary file that does not validate; names file and line."""


class AccountingError(PermanentError):
    """Rows in are not rows loaded + quarantined + declared skips."""


class IntegrityError(PermanentError):
    """A file of the lake that is gone, or is no longer what was written."""


class CorrectionError(PermanentError):
    """A decision about a quarantined row that cannot be recorded: an unknown row or column, a foreign owner, a fault that nobody can wave through."""


class PublicationError(PermanentError):
    """A version that may not go live."""


class ReleaseError(PermanentError):
    """A release that cannot be compared, approved or promoted as it is, or that has not reached a customer yet."""


class TraceError(PermanentError):
    """A figure that cannot be led back: an unknown KPI or dimension, a month without figures, nothing published."""


class IsolationError(PermanentError):
    """A role, table, function or setting of the server that would let one customer reach another: nothing is opened until it is repaired."""


class EnvironmentPolicyError(PermanentError):
    """What this environment does not allow: its code, its database, a switch or a command (environments.yaml)."""


class MigrationError(PermanentError):
    """A migration that may not be applied: edited after it was applied, out of order, badly named; or a database that is ahead of this release."""


class AuditError(PermanentError):
    """Rows of a customer that somebody wants to see without saying why, where a reason is asked for."""


class SettingsError(PermanentError):
    """A setting of the environment that cannot work, such as a socket path over 107 bytes."""


class NoticeError(StrataError):
    """A notice that a sink did not take; it stays unsent and is tried again."""


class SinkDownError(NoticeError):
    """A sink that takes no notice at all now, whoever it is for."""


class SpaceError(StrataError):
    """A disk, or a limit of scratch space, is full: nothing of what was being written is kept, and the same run works once there is room."""


class BusyError(StrataError):
    """Another run of the same customer holds its lock."""


class FencedError(PermanentError):
    """This run lost its customer's lock to a later run; nothing of it was kept."""
