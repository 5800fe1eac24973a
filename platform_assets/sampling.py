"""A small part of a customer's deliveries that holds together, for dev: the same rows every time, with confidential text masked.

What belongs here: which rows of bronze, by what the contracts' customProperty `sample` says, and the folder that is made of them. What does not: the
files' formats (resources/sample_files.py), the mask (resources/masking.py).

A source's rows are taken by a hash of an entity's key, so that a machine's line in the inventory, its meters and what runs on it come together; then
everything that a taken row refers to is taken too, until nothing is missing. A source of `rows: referred` gives what is referred to alone, one of
`rows: all` everything. Nothing is written to the installation that is read.
"""
from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from partitions.customers import Customer
from partitions.errors import ContractError, DeliveryError
from platform_assets.contracts import Contract, contract
from resources import versions
from resources.landing import DeliveredFile
from resources.masking import mask_key, mask_sql, masked, set_key
from resources.production_lake import masked_columns
from resources.sample_files import write
from resources.session import Session
from resources.settings import PROJECT

MANIFEST = "deliveries.json"
DIGITS = 8  # hexadecimal: shares down to 1 in 4 billion
NOBODY = {"name": "Data steward", "email": "data-steward@example.org"}  # a sample's steward is told nothing


class Sampled(BaseModel):
    """What a bronze contract's `sample` says. `key`: the column by which others refer to a row. `entity` and `by`: rows are taken by the hash of that
    column as that entity's key; `through`: by that of the row of another source that a column names. `refers`: column -> source."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str | None = None
    rows: Literal["hashed", "referred", "all"] = "hashed"
    entity: str | None = None
    by: str | None = None
    through: dict[str, str] = {}
    refers: dict[str, str] = {}


@dataclass(frozen=True)
class SampledDelivery:
    """One landing call of the sample. `files` are relative to its folder."""

    customer: str
    source: str
    period: str | None
    files: list[str] = field(default_factory=list)
    rows: int = 0


def sources() -> dict[str, tuple[Contract, Sampled]]:
    """Every source with what its contract says of samples. Raises ContractError where it says nothing, or something else."""
    made: dict[str, tuple[Contract, Sampled]] = {}
    for path in sorted((PROJECT / "platform_assets").glob("*/bronze/*.odcs.yaml")):
        found = contract(path)
        try:
            made[found.table] = found, Sampled.model_validate(found.custom.get("sample"))
        except ValidationError as error:
            raise ContractError(f"customProperty `sample` does not validate: {error.errors()[0]['msg']}", table=found.table, file=path.name,
                                fix="say by which entity its rows are taken (platform_assets/sampling.py)") from None
    return made


def chosen(customers: Iterable[str], count: int) -> list[str]:
    """The first customers in the order of their ids' hashes: always the same ones, whoever joins behind them."""
    return sorted(sorted(customers, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count])


def sample(session: Session, share: float, out: Path) -> list[SampledDelivery]:
    """Write one customer's sample below `out`; returns its deliveries in the order in which they land. `share`: 0 to 1, of each source's entities."""
    if session.copies:
        raise DeliveryError("bronze is a copy here, and what was delivered for which month is known in production alone", customer=session.customer_id,
                            fix="take the sample there")
    set_key(session.con, mask_key(session.settings))
    known: dict[str, tuple[Contract, Sampled]] = {}
    for name, (found, said) in sorted(sources().items(), key=lambda entry: bool(entry[1][1].through)):  # what a hash comes through is opened first
        if _opened(session, found, said, {source: theirs.key for source, (_, theirs) in known.items()}, share):
            known[name] = found, said
    _close_over(session, {name: said for name, (_, said) in known.items()})
    made = [delivery for name, (found, said) in known.items() for delivery in _written(session, found, said, out)]
    _declare(session.customer, mask_key(session.settings), session.settings.customers, out)
    return made


def _opened(session: Session, found: Contract, said: Sampled, keys: Mapping[str, str | None], share: float) -> bool:
    """Make the table `sample_<source>` of the newest passed bronze, with `_taken` for the rows that the hash takes; False where there is none.
    `keys`: of the sources that are open already."""
    version = versions.newest(session.lock, session.customer_id, found.spec.qualified, passed=True)
    if version is None or not version.row_count:
        return False
    origin = f"(FROM lake.{found.spec.qualified} AT (VERSION => {version.snapshot_id}))"
    hashed = _hash_sql(said)
    for column, source in said.through.items():
        if source in keys:
            hashed = f"""coalesce((SELECT min(_hash) FROM sample_{source} t WHERE trim(t."{keys[source]}") = trim(b."{column}")), {hashed})"""
    taken = {"hashed": f"_hash < '{threshold(share)}' OR _hash = (SELECT min(_hash) FROM hashed)", "referred": "false", "all": "true"}[said.rows]
    session.con.execute(f"""CREATE OR REPLACE TEMP TABLE sample_{found.table} AS WITH hashed AS (SELECT b.*, {hashed} AS _hash FROM {origin} b)
        SELECT *, {taken} AS _taken FROM hashed""")
    return True


def threshold(share: float) -> str:
    """Hashes below it are the share; `g` is above every hash."""
    return "g" if share >= 1 else f"{int(share * 16**DIGITS):0{DIGITS}x}"


def _hash_sql(said: Sampled) -> str:
    """Of the entity's key; a row that names no entity is one by itself."""
    key = f"""nullif(trim(b."{said.by}"), '')""" if said.by else "NULL"
    return f"left(sha256(coalesce('{said.entity}' || chr(31) || {key}, b._sha256 || chr(31) || b._row)), {DIGITS})"


def _close_over(session: Session, known: Mapping[str, Sampled]) -> None:
    """Take what taken rows refer to, until that adds nothing."""
    con = session.con
    for _ in range(1_000):
        added = 0
        for name, said in known.items():
            for column, target in said.refers.items():
                if target in known and (key := known[target].key):
                    added += con.execute(f"""UPDATE sample_{target} SET _taken = true WHERE NOT _taken AND trim("{key}") IN (
                        SELECT trim("{column}") FROM sample_{name} WHERE _taken AND trim("{column}") <> '')""").fetchone()[0]
        if not added:
            return
    raise ContractError("references of the sources go round without end", customer=session.customer_id, fix="look at `refers` of their contracts")


def _written(session: Session, found: Contract, said: Sampled, out: Path) -> list[SampledDelivery]:
    """The taken rows of a source, a file for each delivered one that has any."""
    files = {file.sha256: file for file in session.deliveries(found.spec)}
    types = {str(p.name): str(p.logicalType) for p in found.properties if not str(p.name).startswith("_")}
    hidden = set(masked_columns(found.spec))
    shown = ", ".join(f'{mask_sql(_quoted(name)) if name in hidden else _quoted(name)} AS {_quoted(name)}' for name in types)
    rows: dict[str, list[dict[str, Any]]] = {}
    asked = session.con.execute(f"SELECT _sha256, {shown} FROM sample_{found.table} WHERE _taken ORDER BY _sha256, _row")
    for sha256, *values in asked.fetchall():
        rows.setdefault(sha256, []).append(dict(zip(types, values, strict=True)))
    deliveries: dict[tuple[Any, int], list[DeliveredFile]] = {}
    for sha256, file in files.items():
        if sha256 in rows:
            deliveries.setdefault((file.period, file.sequence), []).append(file)
    made = []
    for (period, _sequence), delivered in sorted(deliveries.items(), key=lambda entry: (str(entry[0][0]), entry[0][1])):
        names = []
        for number, file in enumerate(sorted(delivered, key=lambda one: (one.file_name, one.sha256)), start=1):
            suffix = found.formats[file.format].type
            path = Path(session.customer_id) / found.table / f"{f'{period:%Y-%m}' if period else 'all'}-{number}.{suffix}"
            write(out / path, file, found.formats[file.format], types, rows[file.sha256])
            names.append(path.as_posix())
        made.append(SampledDelivery(session.customer_id, found.table, f"{period:%Y-%m}" if period else None, names,
                                    sum(len(rows[file.sha256]) for file in delivered)))
    return made


def _declare(customer: Customer, key: bytes, folder: Path, out: Path) -> None:
    """The customer's file for dev: nobody is told anything, nothing starts by itself, accounts are the masked ones; its own parameters as they are."""
    said = customer.model_dump(exclude={"id", "schedule", "triggers", "contacts", "direct_readers", "encrypted"}, exclude_none=True)
    for source in said["sources"].values():
        source["accepted_owners"] = [masked(owner, key) for owner in source["accepted_owners"]]
    said |= {"name": f"{customer.id} (sample)", "steward": NOBODY}
    (out / "customers").mkdir(parents=True, exist_ok=True)
    (out / "customers" / f"{customer.id}.yaml").write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if (folder / customer.id / "parameters").is_dir():
        shutil.copytree(folder / customer.id / "parameters", out / "customers" / customer.id / "parameters", dirs_exist_ok=True)


def write_manifest(out: Path, deliveries: list[SampledDelivery]) -> None:
    (out / MANIFEST).write_text(json.dumps([vars(one) for one in deliveries], indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> list[SampledDelivery]:
    """Raises DeliveryError where the folder holds no sample."""
    try:
        return [SampledDelivery(**one) for one in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        raise DeliveryError("this folder holds no sample", file=str(folder), fix="make one with `strata dev sample`") from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
