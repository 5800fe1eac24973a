"""A customer with everything: rows of silver that reach every formula, over fifteen months; sizes are drawn by a seed.

What belongs here: rows only. What does not: expectations (the tests of gold and platinum).
"""

from datetime import date, datetime
from decimal import Decimal
from random import Random

FIRST, AFTER = date(2023, 6, 1), date(2024, 9, 1)
MONTHS = [date(2023, month, 1) for month in range(6, 13)] + [date(2024, month, 1) for month in range(1, 9)]
METERS = [  # provider, service, meter, usage kind, unit: one of each family of meters
    ("aws", "Amazon Simple Storage Service", "USW2-TimedStorage-ByteHrs", "storage", "gb_months"), ("oci", "NETWORK", "Outbound Data Transfer Zone 1", "data_volume", "gb"),
    ("aws", "Amazon Elastic Container Service", "AWS Fargate - ARM - vCPU - US West (Oregon)", "resource_hours", "hours"), ("oci", "COMPUTE", "Standard - E4", "ocpu_hours", "ocpu_hours"),
    ("gcp", "Compute Engine", "Nvidia Tesla T4 GPU running in Frankfurt", "resource_hours", "hours"),
    ("gcp", "Compute Engine", "E2 Instance Ram running in Paris", "memory_hours", "gb_hours"),
    ("aws", "Amazon Simple Storage Service", "USW2-EarlyDelete-ByteHrs", "storage", "gb_months"), ("aws", "Unheard Of", "requests", "requests", "requests"),
]  # fmt: skip


def estate(seed: int) -> dict[str, list[dict]]:
    """table of silver -> rows."""
    draw = Random(seed)
    money = lambda: Decimal(draw.randrange(1, 10**9)) / Decimal(10**4)  # noqa: E731
    sites = [{"site_id": "DC1", "name": "DC1", "kind": "datacentre", "is_datacentre": True, "country_code": "FRA", "pue": 1.31, "wue_l_per_kwh": 0.4},
             {"site_id": "Lyon", "name": "Lyon", "kind": "office", "is_datacentre": False, "country_code": "FRA"}]  # fmt: skip
    kinds = [("laptop", "Lyon", "owned"), ("smartphone", "Lyon", "byod"), ("monitor", "Bonn", "leased"), ("cash register", "Lyon", "owned"), ("server", "DC1", "owned"),
             ("server", "Colo", "leased"), ("server", "DC1", "owned")]  # fmt: skip
    equipment = [{
        "equipment_id": f"e{place}", "item_type": kind, "quantity": draw.randrange(1, 40), "status": "in_use", "ownership": ownership, "site_id": site, "org_unit": draw.choice(["IT", "Sales", None]),
        "country_code": {"Bonn": "DEU"}.get(site, "FRA"), "purchase_date": date(draw.randrange(2018, 2025), draw.randrange(1, 9), draw.randrange(1, 28)),
        "is_datacentre": kind == "server", "unit_price": Decimal(draw.randrange(100, 5000)), "currency": "EUR", "expected_lifetime_years": 6.0 if kind == "cash register" else None,
        "condition": draw.choice(["new", "refurbished", None]),
        **({"cpu_units": 2, "cpu_cores": 32, "cpu_tdp_watts": 150.0, "ram_gb": 256.0, "ssd_gb": 3840.0} if place == 4 else {}),
    } for place, (kind, site, ownership) in enumerate(kinds)]  # fmt: skip
    equipment.append({**equipment[0], "equipment_id": "gone", "status": "retired", "purchase_date": date(2023, 7, 3), "retired_date": date(2024, 3, 9)})
    hosted = [{"vm_id": f"v{place}", "equipment_id": draw.choice(["e4", "e6"]), "kind": "compute", "vcpu": draw.choice([None, 2.0, 7.0, 12.0]),
               "explicit_share": draw.choice([None, None, 0.3])} for place in range(9)]  # fmt: skip
    bill = [{
        "line_id": f"l{number}-{month}", "provider": provider, "billing_account_id": "1", "region_id": "us-east-1" if provider == "aws" else "x", "service_name": service, "meter": meter,
        "usage_kind": kind, "consumed_unit": unit, "consumed_quantity": money(), "charge_category": "Usage", "billed_cost": money(), "currency": draw.choice(["USD", "EUR"]),
        "charge_period_start_at": datetime(month.year, month.month, draw.randrange(1, 28)), "instance_type": "m5.large" if kind == "instance_hours" else None,
    } for month in MONTHS[-3:] for number, (provider, service, meter, kind, unit) in
        enumerate([*METERS, ("aws", "EC2", None, "instance_hours", "hours")])]  # fmt: skip
    credit = {**bill[-1], "line_id": "credit", "charge_category": "Credit", "billed_cost": -money(), "consumed_quantity": None, "instance_type": None, "usage_kind": None}
    contracts = [{"contract_id": name, "vendor": "V", "product": name, "start_date": date(2023, 9, 12), "users": 40, "spend": money(), "currency": "EUR",
                  "spend_sector": "518210", "country_code": "IRL", "kgco2e_per_user_year": 3.3 if name == "own" else None,
                  "application_id": "crm" if name == "used" else None} for name in ("own", "used", "paid")]  # fmt: skip
    used = [{"contract_id": "used", "month_start": month, "activity_key": key, "quantity": draw.random() * 1000} for month in MONTHS[6:] for key in ("email", "storage_gb_month")]
    links = [{"link_id": kind, "month_start": month, "kind": kind, "lines": 3, "gb": draw.random() * 1000, "country_code": "FRA", "site_id": "Lyon", "org_unit": "IT", "provider": "T"}
             for month in MONTHS[:4] for kind in ("fixed_line", "mobile", "wan")]  # fmt: skip
    visits = [{"page_id": "p", "day": month.replace(day=draw.randrange(1, 28)), "country_code": draw.choice(["FRA", "WLD"]), "views": draw.randrange(10**6),
               "bytes_per_view": draw.choice([None, 1.5e6]), "first_view_share": 0.6, "reload_share": 0.1, "hosting_country_code": "DEU", "application_id": "web"} for month in MONTHS]  # fmt: skip
    calls = [{"usage_id": f"u{month}", "provider": "mistralai", "model": "mistral-large-2411", "day": month, "requests": 9, "tokens_out": draw.randrange(10**7), "country_code": "FRA"}
             for month in MONTHS[3:9]]  # fmt: skip
    electricity = [{"contract_id": "E1", "site_id": "DC1", "start_date": date(2024, 1, 1), "instrument": "ppa", "covered_share": 0.6, "kgco2e_per_kwh": 0.012},
                   {"contract_id": "E2", "country_code": "DEU", "start_date": date(2023, 1, 1), "instrument": "certificate", "covered_kwh_per_month": 1e7, "kgco2e_per_kwh": 0.0}]  # fmt: skip
    return {
        "site": sites, "equipment": equipment, "virtual_machine": hosted, "cloud_usage": [*bill, credit], "saas_contract": contracts, "saas_usage": used, "network_link": links,
        "web_traffic": visits, "web_page": [{"page_id": "p", "transferred_bytes": 900_000}], "ai_usage": calls, "energy_contract": electricity,
        "application": [{"application_id": "crm", "environment": "prod", "vm_id": f"v{place}", "users": 50} for place in range(4)],
        "metered_usage": [{"equipment_id": "e5", "start_date": month, "end_date": month.replace(day=20), "energy_kwh": draw.random() * 900} for month in MONTHS],
        "org_unit": [{"org_unit": name, "valid_from": date(2023, 1, 1), "fte": 12.5, "revenue_per_month": money(), "currency": "EUR"} for name in ("IT", "Sales")],
    }  # fmt: skip


def gold_of(gold, table_of, months, seed: int):
    """table of gold -> table, made of the estate."""
    silver = {name: table_of("silver", name, *lines) for name, lines in estate(seed).items()}
    window = months(FIRST, AFTER)
    given = lambda *names: {name: silver[name] for name in names}  # noqa: E731
    activity = gold.activity(months=window, **{name: table for name, table in silver.items() if name not in ("virtual_machine", "application", "org_unit")})
    impact = gold.impact(activity=activity, **given("equipment"))
    return {
        "activity": activity, "impact": impact, "coverage": gold.coverage(activity=activity, impact=impact), "allocation": gold.allocation(**given("equipment", "virtual_machine", "application")),
        "denominator": gold.denominator(months=window, activity=activity, **given("org_unit", "application", "equipment")),
    } | {"reconciliation": gold.reconciliation(months=window, activity=activity, impact=impact, **given("equipment", "metered_usage", "cloud_usage", "saas_usage"))}  # fmt: skip
