"""The contract of a table: ODCS v3.1 beside the asset, and what is derived from it.

What belongs here: reading `<table>.odcs.yaml` and answering questions about it. What does not: evaluating rules (checks.py), storage
(resources/), and any second place where a column is described.
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import ValidationError

from partitions.errors import ContractError
from resources.formats import Format, formats_of
from resources.reasons import REASONS
from resources.releases import digest
from resources.settings import PROJECT
from resources.storage import Column, TableSpec

SEVERITIES = {"error", "quarantine", "warn"}
ENGINES = {"greatExpectations", "strata"}
DRIFT_POLICIES = ("evolve", "freeze", "quarantine")
READERS = tuple(f"{name}.py" for name in (  # of resources/: what a bronze table's rows are read by
    "landing", "staging", "source", "containers", "inspection", "records", "headers", "formats", "readable", "objects", "json_records", "xml_records",
    "workbooks", "workbook_parts", "parquet_files", "corrections", "quarantine"))
DOMAIN_HELPERS = {"conform"}
IMPORTED = re.compile(r"^from (platform_assets(?:\.\w+)+) import", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """One Great Expectations rule of a contract: `name` is unique in its table, `severity` is error (blocking) or warning."""

    name: str
    expectation: str
    kwargs: dict[str, Any]
    severity: str
    description: str
    engine: str = "greatExpectations"
    reason: str | None = None


@dataclass(frozen=True)
class Contract:
    """One table's contract. `path` is its file; the table's name is the file's stem, its layer the folder's name."""

    path: Path
    odcs: OpenDataContractStandard

    @property
    def table(self) -> str:
        return self.path.name.removesuffix(".odcs.yaml")

    @property
    def layer(self) -> str:
        return self.path.parent.name

    @property
    def domain(self) -> str:
        return self.odcs.domain

    @property
    def schema(self) -> SchemaObject:
        return self.odcs.schema_[0]

    @property
    def properties(self) -> list[SchemaProperty]:
        return self.schema.properties

    @cached_property
    def custom(self) -> dict[str, Any]:
        return {entry.property: entry.value for entry in self.odcs.customProperties or []}

    @cached_property
    def key(self) -> tuple[str, ...]:
        keyed = [p for p in self.properties if p.primaryKey]
        return tuple(p.name for p in sorted(keyed, key=lambda p: p.primaryKeyPosition or 0))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return tuple(
            Column(
                name=p.name,
                type=p.physicalType,
                required=bool(p.required or p.primaryKey),
                classification=p.classification or "internal",
                unit=custom_of(p).get("unit"),
                description=p.description,
            )
            for p in self.properties
        )

    @cached_property
    def formats(self) -> dict[str, Format]:
        """Named formats of a bronze contract; empty elsewhere."""
        declared = self.custom.get("formats") or {}
        return formats_of(declared, [c.name for c in self.columns if not c.name.startswith("_")])

    @cached_property
    def spec(self) -> TableSpec:
        """What storage needs to know; travels in the asset's definition metadata."""
        source = self.custom.get("source") or {}
        return TableSpec(
            domain=self.domain,
            layer=self.layer,
            name=self.table,
            columns=self.columns,
            key=self.key,
            accounting=self.custom["accounting"],
            contract_version=self.odcs.version,
            code_version=self.fingerprint,
            mode=source.get("mode"),
            owner_column=source.get("owner_column"),
            declared_formats=self.custom.get("formats") or {},
            drift=source.get("drift", "evolve"),
            max_quarantined_share=self.custom.get("max_quarantined_share"),
        )

    @cached_property
    def sources(self) -> tuple[Path, ...]:
        """What the table is computed by: its module, its contract and the project's modules that it calls."""
        module = self.path.with_name(f"{self.table}.py")
        found = _sources_of(module) if module.exists() else {self.path}
        if any(rule.severity == "quarantine" for rule in self.rules):
            found.add(PROJECT / "platform_assets" / "rules.py")
        if self.layer == "bronze":
            found |= {PROJECT / "resources" / name for name in READERS}
        return tuple(sorted(found))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the table's sources."""
        digest = hashlib.sha256()
        for path in self.sources:
            digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:12]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of the contract, table rules first."""
        found: list[Rule] = []
        entries: list[tuple[str | None, DataQuality]] = [(None, q) for q in self.schema.quality or []]
        entries += [(p.name, q) for p in self.properties for q in p.quality or []]
        for column, quality in entries:
            found.append(self._rule(column, quality, {rule.name for rule in found}))
        return tuple(found)

    def _rule(self, column: str | None, quality: DataQuality, taken: set[str]) -> Rule:
        implementation = quality.implementation
        if quality.type != "custom" or quality.engine not in ENGINES or not isinstance(implementation, dict):
            raise ContractError("a rule is `type: custom, engine: greatExpectations` (or strata) with implementation {type, kwargs}",
                                table=self.table, file=self.path.name, column=column)
        if quality.severity not in SEVERITIES:
            raise ContractError(f"a rule's severity is one of {sorted(SEVERITIES)}", table=self.table, file=self.path.name, column=column)
        expectation = implementation["type"]
        name = "__".join(part for part in (column, quality.name or expectation.removeprefix("expect_").replace("column_values_to_", "")) if part)
        while name in taken:
            name += "_too"
        kwargs = {**({"column": column} if column else {}), **(implementation.get("kwargs") or {})}
        reason = implementation.get("reason")
        if reason is not None and reason not in REASONS:
            raise ContractError(f"{reason} is not in the list of reasons", table=self.table, file=self.path.name, column=column, fix="see resources/reasons.py")
        return Rule(name, expectation, kwargs, quality.severity, quality.description or "", quality.engine, reason)

    @property
    def checked_rules(self) -> tuple[Rule, ...]:
        """Rules that are judged on the written table; those of severity quarantine were judged row by row before."""
        return tuple(rule for rule in self.rules if rule.severity != "quarantine")

    def member(self, role: str) -> str | None:
        members = self.odcs.team.members if self.odcs.team and self.odcs.team.members else []
        return next((m.username for m in members if m.role == role), None)


def _sources_of(module: Path) -> set[Path]:
    """A table's module with the modules of its domain, and the shared ones of DOMAIN_HELPERS, that it imports; a table's contract with it."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found or not path.exists():
            continue
        found.add(path)
        if (beside := path.with_name(f"{path.stem}.odcs.yaml")).exists():
            found.add(beside)
        for name in IMPORTED.findall(path.read_text(encoding="utf-8")):
            imported = PROJECT / Path(*name.split(".")).with_suffix(".py")
            if imported.parent != PROJECT / "platform_assets" or imported.stem in DOMAIN_HELPERS:
                waiting.append(imported)
    return found


def code_of(contracts: Iterable[Contract]) -> str:
    """One hash of what a domain's tables are computed by."""
    return digest({made.spec.qualified: made.fingerprint for made in contracts})


def custom_of(prop: SchemaProperty) -> dict[str, Any]:
    """The customProperties of one column as a dict."""
    return {str(entry.property): entry.value for entry in prop.customProperties or []}


@cache
def contract(file: str | Path) -> Contract:
    """The contract beside a module (`contract(__file__)`) or at a path ending in `.odcs.yaml`; raises ContractError."""
    path = Path(file)
    if not path.name.endswith(".odcs.yaml"):
        path = path.with_name(path.stem + ".odcs.yaml")
    if not path.exists():
        raise ContractError("the contract is missing", file=path.name, fix=f"write {path.name} beside the module")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        odcs = OpenDataContractStandard.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=loader))  # noqa: S506
    except (ValidationError, yaml.YAMLError) as error:
        raise ContractError(f"not a valid ODCS contract: {str(error).splitlines()[0]}", file=path.name) from error
    made = Contract(path, odcs)
    _require(made)
    return made


def _require(made: Contract) -> None:
    """What Strata asks of a contract beyond ODCS."""
    problem = None
    if not made.odcs.schema_ or not made.odcs.schema_[0].properties:
        problem = "the contract declares no columns"
    elif not made.odcs.domain:
        problem = "the contract names no domain"
    elif made.odcs.schema_[0].name != made.table:
        problem = "the schema's name is not the file's name"
    elif "accounting" not in made.custom or made.custom["accounting"] not in ("one_to_one", "explode", "group", "none"):
        problem = "customProperties needs accounting: one_to_one | explode | group | none"
    elif (made.custom.get("source") or {}).get("drift", "evolve") not in DRIFT_POLICIES:
        problem = f"a source's drift is one of {', '.join(DRIFT_POLICIES)}"
    elif untyped := [p.name for p in made.properties if not p.physicalType]:
        problem = f"columns without physicalType: {', '.join(map(str, untyped))}"
    elif not made.key:
        problem = "no column is marked primaryKey"
    if problem:
        raise ContractError(problem, file=made.path.name)
