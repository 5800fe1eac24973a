"""What a table is to storage: its name, typed columns, key and accounting.

What belongs here: plain values that travel from the contract to the IO managers in an asset's definition metadata (Dagster's own column
schema carries the columns). What does not: reading contracts (platform_assets/contracts.py) and connections (lake.py, warehouse.py).
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from resources.formats import Format, formats_of

LAKE_LAYERS = ("bronze", "silver")
REJECTS = "_rejects"
PLACE = ("_file", "_row", "_sha256")  # where a row was delivered
COLUMN_SCHEMA = "dagster/column_schema"


@dataclass(frozen=True)
class Column:
    """One column. `type` is the contract's physicalType, spelt as DuckDB spells it."""

    name: str
    type: str
    required: bool
    classification: str
    unit: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table as storage sees it. `mode`, `owner_column`, `drift` and `declared_formats` are set for bronze only.

    `max_quarantined_share` (0 to 1): more open quarantined rows than that share of the rows in block the customer's publication.
    """

    domain: str
    layer: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    accounting: str
    contract_version: str
    code_version: str
    mode: str | None = None
    owner_column: str | None = None
    declared_formats: Mapping[str, Any] = field(default_factory=dict)
    drift: str = "evolve"
    max_quarantined_share: float | None = None

    @property
    def schema(self) -> str:
        return f"{self.domain}_{self.layer}"

    @property
    def qualified(self) -> str:
        """`<domain>_<layer>.<table>`: the table's name in its store and in `platform.table_version`."""
        return f"{self.schema}.{self.name}"

    @property
    def in_lake(self) -> bool:
        return self.layer in LAKE_LAYERS

    @property
    def public_columns(self) -> tuple[str, ...]:
        """Columns whose values may be shown (ARCHITECTURE 15)."""
        return tuple(c.name for c in self.columns if c.classification == "public")

    @property
    def formats(self) -> dict[str, Format]:
        return formats_of(dict(self.declared_formats), [c.name for c in self.columns if not c.name.startswith("_")])

    def as_metadata(self) -> dict[str, Any]:
        """Definition metadata of the asset; `spec_of` reads it back."""
        columns = [
            dg.TableColumn(c.name, c.type, description=c.description, constraints=dg.TableColumnConstraints(nullable=not c.required),
                           tags={"classification": c.classification, **({"unit": c.unit} if c.unit else {})})
            for c in self.columns
        ]
        said = {"layer": self.layer, "domain": self.domain, "key": list(self.key), "accounting": self.accounting, "code": self.code_version,
                 "contract": self.contract_version, "mode": self.mode, "owner_column": self.owner_column, "formats": dict(self.declared_formats),
                "drift": self.drift, "max_quarantined_share": self.max_quarantined_share}
        return {
            COLUMN_SCHEMA: dg.TableSchema(columns=columns),
            "dagster/table_name": self.qualified,
            "strata/table": folded(said),
        }


def spec_of(asset_name: str, metadata: Mapping[str, Any]) -> TableSpec:
    """The table that an asset's definition metadata describes."""
    schema, said = plain(metadata[COLUMN_SCHEMA]), unfolded(metadata["strata/table"])
    columns = tuple(
        Column(c.name, c.type, not c.constraints.nullable, c.tags["classification"], c.tags.get("unit"), c.description) for c in schema.columns
    )
    return TableSpec(said["domain"], said["layer"], asset_name, columns, tuple(said["key"]), said["accounting"], said["contract"],
                     said["code"], said["mode"], said["owner_column"], said["formats"], said["drift"], said["max_quarantined_share"])


def folded(said: Any) -> dg.MarkdownMetadataValue:
    """Technical metadata as Dagster's UI shows it behind a link (JSON it spreads over the page); `unfolded` reads it back."""
    return dg.MetadataValue.md(f"```json\n{json.dumps(said, indent=1)}\n```")


def unfolded(value: Any) -> Any:
    return json.loads(plain(value).removeprefix("```json").removesuffix("```"))


def plain(value: Any) -> Any:
    """A metadata entry's value, wrapped by Dagster or not."""
    return getattr(value, "value", value)


def pg_type(physical: str) -> str:
    """PostgreSQL's name of a contract's physicalType."""
    plain = {"varchar": "text", "double": "double precision", "timestamp": "timestamp without time zone"}
    return plain.get(physical, physical.replace("decimal", "numeric"))


def landing_name(table: str) -> str:
    """What a bronze table's delivered files are called in a session's SQL."""
    return f"landing_{table}"
