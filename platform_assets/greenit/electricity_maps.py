"""Electricity Maps' yearly figures by zone as rows of `grid_factor_zone`.

What belongs here: the shape of their file, and a zone's country. What does not: their figures, which are under ODbL-1.0 (share-alike) and stay in a
file of their own.
"""
from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from partitions.errors import ParameterError
from platform_assets.parameter_fetch import Collection
from resources.parameter_state import ParameterState

COLUMNS = ("zone", "year", "gco2e_per_kwh", "renewable_pct", "carbon_free_pct")
ORIGIN = {
    "unit": "kgCO2e", "per": "kWh", "boundary": "lifecycle", "method": "location", "criterion": "GWP", "source": "Electricity Maps, yearly, flow-traced",
    "licence": "ODbL-1.0", "dq_rel": 2, "dq_comp": 1, "dq_geo": 1, "dq_tech": 3,
}  # fmt: skip


def zone_rows(file: Path, state: ParameterState) -> list[dict[str, Any]]:
    """One row per zone and year of a CSV with at least COLUMNS. A zone's name begins with its country's two letters.

    ParameterError names the row of a zone whose country nobody knows, and of a cell that is no number.
    """
    with (state.root / "vocabularies" / "country.csv").open(newline="", encoding="utf-8") as text:
        countries = {row["alias"]: row["country_code"] for row in csv.DictReader(text)}
    with file.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.DictReader(text)
        if absent := sorted(set(COLUMNS) - set(reader.fieldnames or ())):
            raise ParameterError(f"columns are missing: {', '.join(absent)}", file=file.name, row=1, fix=f"give a CSV with {', '.join(COLUMNS)}")
        return [_row(file, reader.line_num, row, countries) for row in reader]


def _row(file: Path, line: int, row: dict[str, str], countries: dict[str, str]) -> dict[str, Any]:
    country = countries.get(row["zone"].partition("-")[0].lower())
    if country is None:
        raise ParameterError("the zone begins with no country that Strata knows", file=file.name, row=line, column="zone", fix="correct or remove it")
    try:
        year, value = int(row["year"]), f"{float(row['gco2e_per_kwh']) / 1000:.12g}"
        shares = {name: f"{float(row[said]) / 100:.12g}" if row[said] else "" for name, said in (("renewable_share", "renewable_pct"),
                                                                                              ("carbon_free_share", "carbon_free_pct"))}
    except ValueError:
        raise ParameterError("a cell is no number", file=file.name, row=line, fix="write plain numbers") from None
    return {"grid_id": f"electricitymaps-{row['zone'].lower()}-{year}", "zone": row["zone"], "country_code": country, "factor_year": year, "value": value,
            "source_version": str(year), "valid_from": f"{year}-01-01", "valid_to": f"{year}-12-31", **shares, **ORIGIN}


ELECTRICITY_MAPS = Collection("electricitymaps", "grid_factor_zone", "ODbL-1.0", zone_rows)
