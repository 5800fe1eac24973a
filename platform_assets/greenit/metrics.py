"""Every KPI of Green IT, once: its name, formula, unit, dimensions, and the rows of which table it is a sum of.

What belongs here: one Metric each. What does not: computing them (platinum/metric_monthly.py), the tables they are made of. The table
`metric_monthly`, `strata kpis`, `strata trace`, the checks and the documentation read this list, and a new KPI is a new entry.

Not one figure a month, and so tables of their own: per user of an application (platinum/intensity.py), why it changed (trend.py), the path to a
target (trajectory.py), the largest contributors (top_contributors.py), everyday equivalents (equivalence.py), members of a dimension
(kpi_dimension.py). Not there, because no data say them yet: SCI per functional unit (no functional units are delivered), water in stressed areas (no
map of stress), renewable or carbon-free share (contracts say theirs, grids do not), oversized share (no target sizes), euro per tonne avoided (no
actions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOCATION, MARKET = ["location", "none"], ["market", "none"]  # a total takes one method of purchased electricity
AMORTISED = "amortised"
EVERYWHERE = ("domain", "category", "phase", "org_unit", "site", "application", "provider", "region", "service", "item", "country", "ownership")
DOMAINS = {"equipment": "workplace equipment", "datacentre": "own and colocated datacentres", "cloud": "cloud", "saas": "software as a service",
           "network": "networks", "web": "web pages", "ai": "language models"}  # fmt: skip
CATEGORIES = {"3.1": "purchased goods and services", "3.2": "capital goods", "3.3": "fuel- and energy-related activities", "3.5": "waste",
              "3.7": "employees' own devices", "3.8": "upstream leased assets", "3.11": "use of sold products: visitors"}  # fmt: skip


@dataclass(frozen=True)
class Sum:
    """The sum of a column over the rows of a platinum or gold table where columns have (one of) these values."""

    table: str
    column: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """One KPI: `of`, or `of` / `over`, times `scale`. `dimensions` are those it can be cut by in kpi_monthly and kpi_dimension."""

    id: str
    name: str
    formula: str
    unit: str
    of: Sum
    over: Sum | None = None
    scale: float = 1.0
    dimensions: tuple[str, ...] = ()

    @property
    def is_traceable(self) -> bool:
        """Whether what it sums are impacts, which lead back to raw rows."""
        return self.of.table == "kpi_monthly" and self.of.column == "value"


def emissions(id: str, name: str, formula: str, over: Sum | None = None, unit: str = "tCO2e", scale: float = 0.001, **where: Any) -> Metric:
    """A sum of GWP, in tonnes unless said otherwise; amortised and location-based unless said otherwise."""
    cells = {"criterion": "GWP", "view": AMORTISED, "method": LOCATION, **where}
    return Metric(id, name, formula, unit, Sum("kpi_monthly", "value", cells), over, scale, EVERYWHERE)


def of_criterion(id: str, name: str, criterion: str, unit: str) -> Metric:
    return emissions(id, name, f"Σ impact in {criterion}, all phases", unit=unit, scale=1.0, criterion=criterion)


def per(kind: str, id: str, name: str, unit: str, scale: float = 1.0) -> Metric:
    return emissions(id, name, f"Σ GWP / {kind} of the month", Sum("denominator", "value", {"kind": kind, "member": "(all)"}), unit, scale)


def quality(id: str, name: str, formula: str, unit: str, column: str, over: str, scale: float = 1.0) -> Metric:
    rows = {"criterion": "GWP", "view": AMORTISED, "method": LOCATION}
    return Metric(id, name, formula, unit, Sum("kpi_monthly", column, rows), Sum("kpi_monthly", over, rows), scale, ("domain",))


def of_fleet(id: str, name: str, formula: str, unit: str, column: str, over: str = "units", scale: float = 100.0) -> Metric:
    return Metric(id, name, formula, unit, Sum("fleet", column), Sum("fleet", over) if over else None, scale, ("domain", "item"))


def resting_on(basis: str, name: str) -> Metric:
    cell = {"criterion": "GWP", "view": AMORTISED, "method": LOCATION}
    part, whole = Sum("data_quality", f"{basis}_value", cell), Sum("data_quality", "size", cell)
    return Metric(f"{basis}_share", f"{name} share", f"|GWP| that is {name} / |GWP|", "%", part, whole, 100.0, ("domain",))


HOSTED = {"dimension": "application", "domain": "datacentre", "criterion": "GWP", "view": AMORTISED, "method": LOCATION}
METRICS: tuple[Metric, ...] = (
    emissions("total_location", "Total, location-based", "Σ GWP, purchased electricity by the grid"),
    emissions("total_market", "Total, market-based", "Σ GWP, purchased electricity by contracts", method=MARKET),
    emissions("total_purchase_year", "Total, purchase-year view", "Σ GWP, devices booked whole in the months of purchase and disposal", view="purchase_year"),
    emissions("scope2_location", "Scope 2, location-based", "Σ kWh × PUE × grid factor", method="location", scope="2"),
    emissions("scope2_market", "Scope 2, market-based", "Σ kWh × PUE × factor of contracts, residual mix or grid", method="market", scope="2"),
    emissions("scope3", "Scope 3", "Σ GWP of scope 3", scope="3"),
    *(emissions(f"scope{key.replace('.', '_')}", f"Category {key}, {name}", f"Σ GWP of category {key}", category=key) for key, name in CATEGORIES.items()),
    *(emissions(f"{key}_total", f"Emissions of {name}", f"Σ GWP of domain {key}, location-based", domain=key) for key, name in DOMAINS.items()),
    emissions("embodied", "Embodied", "Σ GWP of manufacturing, distribution and end of life", phase=["manufacturing", "distribution", "end_of_life"]),
    emissions("use", "Use", "Σ GWP of the phase of use, location-based", phase="use"),
    of_criterion("primary_energy", "Primary energy", "PE", "MJ"),
    of_criterion("metals_and_minerals", "Metals and minerals", "ADPe", "kgSbeq"),
    of_criterion("water", "Water", "WU", "L"),
    per("fte", "per_fte", "Emissions per FTE", "kgCO2e/FTE"),
    per("revenue_meur", "per_meur_revenue", "Emissions per million euro of revenue", "kgCO2e/MEUR"),
    per("it_spend_eur", "per_eur_it_spend", "Emissions per euro of IT spend", "gCO2e/EUR", 1000.0),
    Metric("people_equivalents", "People's sustainable shares", "Σ GWP / 851.25 kgCO2e of one person and year", "person-year",
           Sum("equivalence", "count", {"equivalent_id": "jrc-gwp", "method": "location", "view": AMORTISED})),
    Metric("coverage_rows", "Rows with an impact", "activities with an impact in GWP / activities", "%",
           Sum("coverage", "activities_covered", {"criterion": "GWP"}), Sum("coverage", "activities", {"criterion": "GWP"}), 100.0, ("domain",)),
    Metric("coverage_cost", "Cost with an impact", "cost of usage of cloud and software with an impact in GWP / cost of usage, without signs", "%",
           Sum("coverage", "cost_covered", {"criterion": "GWP"}), Sum("coverage", "cost", {"criterion": "GWP"}), 100.0, ("domain",)),
    quality("dq_score", "Data quality", "Σ |GWP| × score / Σ |GWP|, 1 best to 5", "1-5", "dq_weighted", "value_abs"),
    resting_on("metered", "metered or billed"), resting_on("estimated", "estimated"),
    resting_on("spend", "known by cost"), resting_on("supplier", "supplier's own"),
    of_fleet("fleet_units", "Equipment in service", "Σ units of the month", "units", "units", "", 1.0),
    of_fleet("fleet_age", "Mean age of equipment", "Σ units × age / units whose purchase is known", "year", "unit_years", "dated_units", 1.0),
    of_fleet("past_lifetime", "Equipment past its lifetime", "units older than their expected lifetime / units", "%", "past_lifetime_units"),
    of_fleet("renewal_rate", "Renewal", "units bought in the month / units", "%", "bought_units"),
    of_fleet("refurbished_share", "Refurbished", "refurbished units / units", "%", "refurbished_units"),
    Metric("idle_share", "Idle share of hosts", "GWP of datacentres that no application has / GWP of datacentres", "%",
           Sum("kpi_dimension", "value", {**HOSTED, "member": "(unallocated)"}), Sum("kpi_dimension", "value", HOSTED), 100.0),
)  # fmt: skip


def metric(id: str) -> Metric:
    """One KPI by id; raises KeyError."""
    return {one.id: one for one in METRICS}[id]
