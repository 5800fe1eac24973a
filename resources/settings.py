"""Where this installation keeps its state and how it reaches its stores.

What belongs here: values read from the environment once, with their defaults. What does not: opening anything, or knowing a customer.
Everything lives under `$STRATA_HOME` (default `.strata/` beside the project); `$STRATA_DSN` switches to a PostgreSQL server of your own and
`$STRATA_LAKE_ROOT` and `$STRATA_LANDING_ROOT` to other roots (a folder or `s3://…`, at `$STRATA_S3_ENDPOINT`) without a code change.
"""
from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from partitions.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("dev", "staging", "prod")
SOCKET_PATH_LIMIT = 107  # bytes that sun_path of a Linux unix socket holds, less the closing zero
SOCKET_NAME = ".s.PGSQL.5432"
MOST_DAYS = 36_500


@dataclass(frozen=True)
class Settings:
    """One installation. `dsn` is None with the embedded server, else `host=… port=…` of a server that Strata may administer.

    `references` is the folder that holds parameters/ and vocabularies/, `history_days` how long Dagster's finished runs are
    remembered, `allow` what somebody asks to switch on beside the environment's policy (environment.py judges it).
    `source_dsn` and `source_lake_root`: production's server of lake catalogs and its lake, where bronze is copied from there."""

    environment: str
    home: Path
    customers: Path
    lake_root: str
    dsn: str | None
    runtime: Path
    references: Path = PROJECT
    landing_store: str | None = None
    s3_endpoint: str | None = None
    history_days: int = 90
    allow: frozenset[str] = frozenset()
    source_dsn: str | None = None
    source_lake_root: str | None = None

    @property
    def landing_root(self) -> Path:
        """The folder in which deliveries are staged and, unless they go to an object store, kept."""
        if self.landing_store and "://" not in self.landing_store:
            return Path(self.landing_store)
        return self.home / "landing" / self.environment

    def landing_path(self, customer: str) -> str:
        """The one folder or prefix under which a customer's accepted files lie, ending in a slash."""
        return f"{(self.landing_store or str(self.landing_root)).rstrip('/')}/{customer}/"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def temp_root(self) -> Path:
        return self.home / "tmp" / self.environment

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster" / self.environment

    def lake_path(self, customer: str) -> str:
        """The one folder or prefix under which all objects of a customer's lake lie, ending in a slash."""
        return f"{self.lake_root.rstrip('/')}/{customer}/"


def settings() -> Settings:
    """The settings of this process; raises SettingsError for a value that cannot work."""
    environment, allow = environment_said()
    home = Path(os.environ.get("STRATA_HOME") or PROJECT / ".strata").resolve()
    made = Settings(
        environment=environment,
        home=home,
        customers=Path(os.environ.get("STRATA_CUSTOMERS") or PROJECT / "customers").resolve(),
        lake_root=os.environ.get("STRATA_LAKE_ROOT") or str(home / "lake" / environment),
        dsn=os.environ.get("STRATA_DSN"),
        runtime=_runtime(home),
        references=Path(os.environ.get("STRATA_REFERENCES") or PROJECT).resolve(),
        landing_store=os.environ.get("STRATA_LANDING_ROOT"),
        s3_endpoint=os.environ.get("STRATA_S3_ENDPOINT"),
        history_days=_days("STRATA_HISTORY_DAYS", 90),
        allow=allow,
        source_dsn=os.environ.get("STRATA_SOURCE_DSN"),
        source_lake_root=os.environ.get("STRATA_SOURCE_LAKE_ROOT"),
    )
    length = len(os.fsencode(made.runtime / SOCKET_NAME))
    if made.dsn is None and length > SOCKET_PATH_LIMIT:
        raise SettingsError(
            f"the path of PostgreSQL's socket has {length} bytes, a unix socket takes {SOCKET_PATH_LIMIT}",
            file=str(made.runtime), fix="set STRATA_RUNTIME to a shorter folder",
        )
    return made


def environment_said() -> tuple[str, frozenset[str]]:
    """The environment, and what is to be switched on beside its policy; reads variables alone. Raises SettingsError."""
    environment = os.environ.get("STRATA_ENVIRONMENT", "dev")
    if environment not in ENVIRONMENTS:
        raise SettingsError("STRATA_ENVIRONMENT is none of dev, staging, prod", fix="set it to one of them")
    return environment, frozenset(filter(None, (word.strip() for word in os.environ.get("STRATA_ALLOW", "").split(","))))


def _days(variable: str, usual: int) -> int:
    """A whole number of days, at least one. Raises SettingsError."""
    said = os.environ.get(variable) or str(usual)
    if not said.isdecimal() or not 1 <= int(said) <= MOST_DAYS:
        raise SettingsError(f"{variable} is no number of days from 1 to {MOST_DAYS}", fix=f"set it, or leave it out for {usual}")
    return int(said)


def _runtime(home: Path) -> Path:
    """A short folder for the socket, one per STRATA_HOME and user."""
    if named := os.environ.get("STRATA_RUNTIME"):
        return Path(named).resolve()
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"strata-{os.getuid()}-{digest}"
