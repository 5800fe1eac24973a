"""Bronze rows of service sources: made by hand, or read from a file by the format that the contract declares."""

import pytest

from platform_assets.contracts import contract
from resources.settings import PROJECT
from tests.landing.readers import read


@pytest.fixture
def bronze_of(table_of):
    """`bronze_of(table, format, default, {...}, ...)`: rows that say what `default` says but for their own changes, numbered from 1."""

    def build(table, format, default, *changes):
        origin = {"_file": "hand", "_sha256": "ab" * 32, "_format": format}
        return table_of("bronze", table, *({**origin, **default, "_row": place, **change} for place, change in enumerate(changes, 1)))

    return build


@pytest.fixture
def landed(table_of):
    """`landed(path, table, format)`: what the file's readers make of it: (bronze table, broken rows as (row, rule, raw), facts)."""

    def build(path, table, format):
        made = contract(PROJECT / "platform_assets" / "greenit" / "bronze" / f"{table}.odcs.yaml")
        types = {p.name: p.logicalType for p in made.properties if not p.name.startswith("_")}
        found = read(path, made.formats[format], tuple(types), types=types)
        origin = {"_file": path.name, "_sha256": "ab" * 32, "_format": format}
        rows = [{**dict(zip(("_row", *types), row, strict=True)), **origin, "_extra": found.extras.get(row[0])} for row in found.rows]
        return table_of("bronze", table, *rows), found.rejects, found.facts

    return build
