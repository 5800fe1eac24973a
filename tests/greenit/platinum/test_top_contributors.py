"""Behaviour of greenit/platinum/top_contributors."""

from datetime import date
from decimal import Decimal

import ibis
import pytest

from platform_assets.greenit.platinum.top_contributors import top_contributors


def scene(table_of, sizes, **changes):
    """An activity per contributor with that impact."""
    impacts = [
        {
            "activity_id": name,
            "month_start": date(2024, 1, 1),
            "criterion": "GWP",
            "accounting_view": "amortised",
            "ghg_method": "none",
            "domain": "equipment",
            "unit": "kgCO2e",
            "value": Decimal(size),
        }
        for name, size in sizes.items()
    ]
    named = [{"activity_id": name, "month_start": date(2024, 1, 1), **(changes or {"item_key": name})} for name in sizes]
    return table_of("gold", "impact", *impacts), table_of("gold", "activity", *named)


def test_the_largest_comes_first_with_its_share(table_of, rows):
    made = rows(top_contributors(*scene(table_of, {"laptop": 30, "server": 60, "monitor": 10})), "rank")
    assert [(row["rank"], row["contributor"], row["value"], row["share_pct"]) for row in made] == [
        (1, "server", 60, 60.0),
        (2, "laptop", 30, 30.0),
        (3, "monitor", 10, 10.0),
    ]


def test_shares_add_up_to_where_most_of_the_impact_is(table_of, rows):
    made = rows(top_contributors(*scene(table_of, {"laptop": 30, "server": 60, "monitor": 10})), "rank")
    assert [row["cumulative_pct"] for row in made] == [60.0, 90.0, 100.0]  # 60, 60 + 30, 60 + 30 + 10


def test_market_based_electricity_is_not_counted_beside_the_location_based(table_of, rows):
    impact, activity = scene(table_of, {"laptop": 30})
    (line,) = impact.to_pyarrow().to_pylist()
    both = table_of("gold", "impact", {**line, "ghg_method": "location"}, {**line, "ghg_method": "market", "value": Decimal(5)})
    assert [row["value"] for row in rows(top_contributors(both, activity))] == [30]


def test_ten_places_and_shares_of_the_whole(table_of, rows):
    made = rows(top_contributors(*scene(table_of, {f"item{n:02d}": n for n in range(1, 13)})), "rank")
    assert [row["contributor"] for row in made] == [f"item{n:02d}" for n in range(12, 2, -1)]
    assert made[0]["share_pct"] == pytest.approx(100 * 12 / 78)


def test_equal_impacts_are_ranked_by_name(table_of, rows):
    assert [row["contributor"] for row in rows(top_contributors(*scene(table_of, {"b": 1, "a": 1})), "rank")] == ["a", "b"]


@pytest.mark.parametrize(("said", "name"), [({"instance_type": "m5.large", "service_name": "EC2"}, "m5.large"), ({"service_name": "EC2"}, "EC2")])
def test_cloud_is_named_by_instance_type_else_by_service(table_of, rows, said, name):
    assert rows(top_contributors(*scene(table_of, {"cloud-1": 5}, **said)))[0]["contributor"] == name


def test_it_compiles_for_postgresql(table_of):
    tables = (ibis.table(table_of("gold", name).schema(), name) for name in ("impact", "activity"))
    assert "ROW_NUMBER" in ibis.to_sql(top_contributors(*tables), dialect="postgres")
