"""Customers: the file that declares one, the dynamic partition they are, and its reconciliation with the folder.

What belongs here: reading `customers/<id>.yaml` (the registry is Git) and the partition keys. What does not: landing, roles, runs.
An identifier is judged before it becomes part of any path, key or statement.
"""
from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
import yaml
from dagster._utils.schedules import is_valid_cron_string
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from partitions.errors import CustomerError

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{1,30}", re.ASCII)
CUSTOMERS = dg.DynamicPartitionsDefinition(name="customer")
FILE_BYTES = 64 * 1024
CRON = re.compile(r"[0-9A-Za-z*/,#-]+( [0-9A-Za-z*/,#-]+){4}", re.ASCII)  # Dagster's own reader would also take "@daily"

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]


@cache
def _zones() -> frozenset[str]:
    """The names of the IANA database: reading it takes 3 ms, a fleet has a thousand files."""
    return frozenset(zoneinfo.available_timezones())


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Steward(_Strict):
    """Who is told about this customer's data: a role, so that the file names no person."""

    name: Text
    email: Email


class Expected(_Strict):
    """How often a delivery is due, and how many days after the end of its period it may still come."""

    every: Literal["day", "week", "month"]
    grace_days: int = Field(default=0, ge=0, le=366)


class Source(_Strict):
    """What one source of the customer delivers: a format that the bronze contract declares, the owner ids it may hold, and how often it comes.

    Without `expected` nothing is due, and the source is never stale.
    """

    format: Identifier
    accepted_owners: list[Text] = []
    expected: Expected | None = None


class Contact(_Strict):
    """Who may be asked besides the steward, by what for: a role, so that the file names no person."""

    role: Text
    email: Email


class Quotas(_Strict):
    """What a customer may use at most; nothing given is no limit. A delivery that goes over is refused whole.

    `lake_bytes`: of the lake's files before the delivery. `delivery_bytes`, `delivery_rows`: of all files of one delivery together.
    The others say how much a run may take up, instead of what the size class says (resources/session_limits.py): memory, threads and scratch
    space of its DuckDB; connections to PostgreSQL and minutes of one statement there. Their bounds are what one host can bear beside others.
    """

    lake_bytes: int | None = Field(default=None, ge=1)
    delivery_bytes: int | None = Field(default=None, ge=1)
    delivery_rows: int | None = Field(default=None, ge=1)
    memory_mb: int | None = Field(default=None, ge=128, le=16_384)
    threads: int | None = Field(default=None, ge=1, le=8)
    temp_gb: int | None = Field(default=None, ge=1, le=500)
    connections: int | None = Field(default=None, ge=8, le=32)
    statement_minutes: int | None = Field(default=None, ge=1, le=360)


class Reporting(_Strict):
    """How many months back the figures go."""

    months: int = Field(default=24, ge=1, le=240)


class Customer(_Strict):
    """One customer. `id` is the file's stem and stands nowhere inside the file.

    `schedule`: when it is refreshed, five fields of cron by its own time zone; None: only on request. `triggers`: what refreshes it besides:
    a `delivery`, or an `upstream` table that somebody computed anew alone. `ring`: in which order releases reach it. `encrypted`: its lake's
    files are written encrypted, with keys in its catalog alone; decided before the first run, for good.
    """

    id: Identifier
    name: Text
    status: Literal["active", "paused", "leaving"]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    time_zone: str
    steward: Steward
    contacts: list[Contact] = []
    sources: dict[Identifier, Source]
    reporting: Reporting = Reporting()
    direct_readers: bool = False
    size_class: Literal["small", "medium", "giant"] = "small"
    ring: int = Field(default=2, ge=1, le=9)
    schedule: str | None = None
    triggers: list[Literal["delivery", "upstream"]] = []
    encrypted: bool = False
    quotas: Quotas = Quotas()

    @field_validator("schedule")
    @classmethod
    def _known_cron(cls, value: str | None) -> str | None:
        if value is not None and not (CRON.fullmatch(value) and is_valid_cron_string(value)):
            raise ValueError("not five fields of cron, such as \"30 5 * * 1-5\"")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in _zones():
            raise ValueError("not a time zone of the IANA database, such as Europe/Paris")
        return value


def check_id(text: str) -> str:
    """The identifier itself. Raises CustomerError unless it matches `^[a-z][a-z0-9_]{1,30}$`; the text is shown escaped and cut."""
    if not isinstance(text, str) or not IDENTIFIER.fullmatch(text):
        raise CustomerError("this is not a customer id", fix="use 2 to 31 of a-z, 0-9 and _, a letter first", customer=ascii(text)[:48])
    return text


def customer(id: str, folder: Path) -> Customer:
    """One customer by id. Raises CustomerError for a wrong or unknown id and for a file that does not validate."""
    path = Path(folder) / f"{check_id(id)}.yaml"
    if not path.is_file():
        known = sorted(path.stem for path in Path(folder).glob("*.yaml"))
        fix = f"add customers/{id}.yaml" + (f"; known: {', '.join(known[:8])}" if known else "")
        raise CustomerError("this customer is unknown", fix=fix, customer=id)
    return _read(path)


def refuse_paused(found: Customer, even_if_paused: bool = False) -> None:
    """Raises CustomerError for a customer that is not to be computed now, however it is launched."""
    if found.status == "leaving":
        raise CustomerError("this customer is leaving and is not computed any more", fix="set its status to active, if it stays", customer=found.id)
    if found.status == "paused" and not even_if_paused:
        raise CustomerError("this customer is paused", customer=found.id,
                            fix="set its status to active, or launch it --even-if-paused (in Dagster: the tag strata/even_if_paused = true)")


def load_customers(folder: Path) -> dict[str, Customer]:
    """All customers of a folder by id, sorted. Raises CustomerError if one does not validate or the folder is missing."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CustomerError("the folder of customers does not exist", fix="create it, or point STRATA_CUSTOMERS to it", file=folder)
    strays = sorted(path.name for path in folder.iterdir() if path.suffix == ".yml")
    if strays:
        raise CustomerError("customer files end in .yaml", fix="rename it", file=strays[0])
    return {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}


class _Loader(yaml.SafeLoader):
    """safe_load that refuses a key given twice, aliases (a few lines of them fill the memory) and explicit tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="a key is given twice (or is no plain word)", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Customer:
    id = check_id(path.stem)
    place = {"customer": id, "file": path.name}
    if path.is_symlink() or path.stat().st_size > FILE_BYTES:
        raise CustomerError("this is not an ordinary customer file", fix="a customer file is a regular file of at most 64 KiB", **place)
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            content = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise CustomerError("the file is not UTF-8", fix="save it as UTF-8", **place) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"the file is not plain YAML: {getattr(error, 'problem', None) or 'unreadable'}"
        raise CustomerError(problem, fix="correct the line", **place, line=mark.line + 1 if mark else None) from error
    if not isinstance(content, dict) or "id" in content:
        problem = "the file must hold keys such as name, status, country (and no id: the file name is the id)"
        raise CustomerError(problem, fix="see customers/acme.yaml", **place)
    try:
        return Customer.model_validate({"id": id, **content})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        fix = "correct the key; see customers/acme.yaml"
        raise CustomerError(f"{key}: {_reason(first)}{more}", fix=fix, **place, line=_line(node, first["loc"])) from error


def _reason(error: Mapping[str, Any]) -> str:
    return "this key is unknown" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")


def _line(node: yaml.Node | None, place: Iterable[Any]) -> int:
    """The line of the deepest key on the way that exists; for a missing key that of the mapping it belongs to."""
    line = node.start_mark.line if node else 0
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


@dataclass(frozen=True)
class Reconciliation:
    """What reconciling did: keys `added` and `kept`; `retired` have no file (or are leaving) and stay until the customer is removed."""

    added: tuple[str, ...]
    kept: tuple[str, ...]
    retired: tuple[str, ...]


UNFINISHED = [dg.DagsterRunStatus[name] for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")]


def reconcile(instance: dg.DagsterInstance, customers: Mapping[str, Customer]) -> Reconciliation:
    """Make the partition keys follow the folder: active and paused customers get a key, and none is deleted here: that would lose its runs."""
    name = CUSTOMERS.name or "customer"
    wanted = {id for id, found in customers.items() if found.status != "leaving"}
    present = set(instance.get_dynamic_partitions(name))
    added = sorted(wanted - present)
    if added:
        instance.add_dynamic_partitions(name, added)
    return Reconciliation(tuple(added), tuple(sorted(wanted & present)), tuple(sorted(present - wanted)))
