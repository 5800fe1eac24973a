"""Service deliveries of the fictional customers: software contracts, networks, web pages, language models, electricity contracts.

What belongs here: invented vendors and pages, round figures by our own arithmetic, a few rows that are bad on purpose, each with its why.
What does not: writing files and the order of arrival (samples/generate.py). Language models bear real names, or nobody could find their figures.
"""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # noqa: S405 - written, never parsed

from samples.catalogue import mixed

MONTHS = (date(2024, 6, 1), date(2024, 7, 1), date(2024, 8, 1), date(2024, 9, 1))
Sample = tuple[str, str, str, str]  # source, file name, text, period
NETWORK = ("link_id", "month", "kind", "lines", "gb", "country", "site", "org_unit", "provider")
ANALYTICS = ("page", "day", "country", "views", "bytes_per_view", "first_view_share", "reload_share", "hosting_country", "application_id", "org_unit")
AI = ("provider", "model", "day", "requests", "tokens_in", "tokens_out", "latency_seconds", "country", "application_id", "org_unit")
ENERGY = ("contract_id", "site", "country", "start_date", "end_date", "instrument", "covered_kwh_per_month", "covered_share", "kgco2e_per_kwh",
          "renewable_share")


def acme() -> Iterator[Sample]:
    """Every way of knowing a service: a vendor's figure, usage, spend alone; a shop on the web that was recorded; chat and search by models."""
    contracts = [
        {**contract("AC-S1", "Ledgerly", "Ledgerly Cloud", 120, 3480, "EUR", "513210", "Irlande"), "kgco2e_per_user_year": 4.2, "org_unit": "Finance"},
        {**contract("AC-S2", "Cumulo", "Cumulo Office", 310, 3720.5, "EUR", "518210", "DE"),
         "usage": usage("acme", {"emails": 41000, "storage": 2600, "GB transferred": 900})},
        {**contract("AC-S3", "Videtto", "Videtto Meet", 310, 1240, "EUR", "518210", "FR"), "usage": usage("acme", {"meeting hours": 2900})},
        contract("AC-S4", "Tickbird", "Tickbird Service", 45, 990, "EUR", "513210", None),
    ]
    contracts[1]["usage"].append({"month": "2024-09", "activity": "carrier pigeons", "quantity": 3})  # no such activity
    contracts[2]["usage"].append({"month": "2024-13", "activity": "meeting hours", "quantity": 10})  # no such month
    yield _saas("acme", contracts)
    links = [("AC-L1", "FTTO", 2, "FR", "Lyon"), ("AC-L2", "SD-WAN", None, "DE", "Leipzig"), ("AC-L3", "4G", None, "FR", "")]
    for month in MONTHS:
        rows = network("acme", month, links, "Telario")
        if month == MONTHS[-1]:
            rows.append({**rows[1], "link_id": "AC-L4", "gb": "-12"})  # traffic that cannot be
        yield "network_traffic", f"network_{month:%Y-%m}.csv", _csv(NETWORK, rows), f"{month:%Y-%m}"
    yield "web_page_loads", "shop.acme.example.har", _har("https://shop.acme.example/", 34), "2024-09"
    pages = ["https://shop.acme.example/?utm=news", "shop.acme.example/pumps"]
    for month in MONTHS:
        rows = analytics("acme", month, pages, ("France", "Allemagne", ""), "DE")
        if month == MONTHS[-1]:
            rows[3]["country"] = "Atlantis"  # no such country
            rows[5]["reload_share"] = "20"  # a percentage where a share belongs
        yield "web_analytics", f"views_{month:%Y-%m}.csv", _csv(ANALYTICS, rows), f"{month:%Y-%m}"
    for month in MONTHS:
        rows = ai_log("acme", month, (("Mistral AI", "mistral-large-2411", "FR", 46), ("OpenAI", "gpt-4o-mini", "SE", 11)))
        if month == MONTHS[-1]:
            rows[2]["requests"] = "ten"  # no number
        yield "ai_usage_log", f"models_{month:%Y-%m}.csv", _csv(AI, rows), f"{month:%Y-%m}"
    yield "energy_contracts", "electricity.csv", _csv(ENERGY, [
        electricity("AC-E1", "Lyon", "FR", "PPA", share=0.6, factor=0.012, renewable=1),
        electricity("AC-E2", "Leipzig", "DE", "Ökostromtarif", share=1, factor=0.029),
        electricity("AC-E3", "LEJ-A", "DE", "certificate", share=1.5, factor=0),  # more than all of it
    ]), "2024-09"


def globex() -> Iterator[Sample]:
    """French words, francs, electricity contracts as XML."""
    contracts = [
        {**contract("GX-1", "Cumulo", "Cumulo Office", 280, 4100, "CHF", "518210", "Irlande"),
         "usage": usage("globex", {"courriels": 33000, "stockage (Go)": 1900, "heures de visioconférence": 2100})},
        {**contract("GX-2", "Ledgerly", "Ledgerly Cloud", 60, 2950, "CHF", "513210", "CH"), "kgco2e_per_user_year": "5.1"},
        {**contract("GX-3", "Stowaway", "Stowaway Vault", 12, 640, "EUR", "518210", "FR"), "usage": "voir annexe"},  # no list
    ]
    yield _saas("globex", contracts)
    links = [("GX-L1", "Fibre optique", 3, "Suisse", "Genève"), ("GX-L2", "Liaison louée", None, "France", "Annecy"),
             ("GX-L3", "Données mobiles", None, "Suisse", "")]
    for month in MONTHS:
        yield "network_traffic", f"reseau_{month:%Y-%m}.csv", _csv(NETWORK, network("globex", month, links, "Alpenfunk")), f"{month:%Y-%m}"
        views = analytics("globex", month, ["portail.globex.example/"], ("Suisse", "France"), "CH", 1_850_000)
        yield "web_analytics", f"visites_{month:%Y-%m}.csv", _csv(ANALYTICS, views), f"{month:%Y-%m}"
    yield "energy_contracts", "electricite.xml", _xml([
        electricity("GX-E1", "GVA-2", "Suisse", "Garanties d'origine", kwh=18000, factor=0, renewable=1),
        electricity("GX-E2", "", "France", "Offre verte", share=0.4, factor=0.02),
        electricity("GX-E3", "Zürich", "CH", "poignée de main", share=1, factor=0),  # no such instrument
    ]), "2024-09"


def initech() -> Iterator[Sample]:
    """Software by spend alone, one model, certificates from a utility."""
    contracts = [contract("IN-1", "Tickbird", "Tickbird Service", 30, 870, "USD", "513210", None),
                 contract("IN-2", "Papermill", "TPS Reports", None, 1499.99, "USD", "518210", "US")]
    contracts.append({**contract("IN-3", "Papermill", "Covers", 30, 99, "USD", "513210", "US"), "currency": None})  # a price in no currency
    yield _saas("initech", contracts)
    for month in MONTHS:
        links = [("IN-L1", "Broadband", 2, "US", "Austin"), ("IN-L2", "MPLS", None, "US", "Omaha")]
        yield "network_traffic", f"network_{month:%Y-%m}.csv", _csv(NETWORK, network("initech", month, links, "Prairie Wire")), f"{month:%Y-%m}"
        log = ai_log("initech", month, (("Claude", "claude-haiku-4-5", "US", 23),))
        yield "ai_usage_log", f"models_{month:%Y-%m}.csv", _csv(AI, log), f"{month:%Y-%m}"
    yield "energy_contracts", "electricity.csv", _csv(ENERGY, [electricity("IN-E1", "OMA1", "US", "RECs", kwh=9000, factor=0, renewable=1)]), "2024-09"


def contract(id: str, vendor: str, product: str, users: int | None, spend: float, currency: str, sector: str, country: str | None) -> dict[str, Any]:
    """A software contract since 2023; `spend` is a month's."""
    return {"contract_id": id, "vendor": vendor, "product": product, "start_date": "2023-01-01", "end_date": None, "users": users, "spend": spend,
            "currency": currency, "spend_sector": sector, "country": country}


def usage(customer: str, activities: Mapping[str, int]) -> list[dict[str, Any]]:
    """What was done in each month: the round figure, up to 12 % more or less."""
    return [{"month": f"{month:%Y-%m}", "activity": name, "quantity": round(amount * (88 + mixed(customer, name, month) % 25) / 100, 1)}
            for month in MONTHS for name, amount in activities.items()]


def network(customer: str, month: date, links: Sequence[tuple[str, str, int | None, str, str]], provider: str) -> list[dict[str, str]]:
    """Links of (id, kind, lines or None, country, site); one without lines says gigabytes."""
    return [{"link_id": id, "month": f"{month:%Y-%m}", "kind": kind, "lines": str(lines or ""),
             "gb": "" if lines else f"{400 + mixed(customer, id, month) % 900}.5", "country": country,
             "site": site, "org_unit": "IT", "provider": provider} for id, kind, lines, country, site in links]


def analytics(
    customer: str, month: date, pages: Sequence[str], countries: Sequence[str], hosting: str, measured: int | None = None,
) -> list[dict[str, str]]:
    """Views of every page on every seventh day, by country of the visitors."""
    days = [month + timedelta(days=number) for number in range(0, 28, 7)]
    return [{"page": page, "day": day.isoformat(), "country": country, "views": str(200 + mixed(customer, page, day, country) % 3000),
             "bytes_per_view": str(measured or ""), "first_view_share": "0.7", "reload_share": "0.1", "hosting_country": hosting,
             "application_id": "web-shop", "org_unit": "Sales"}
            for page in pages for day in days for country in countries]


def ai_log(customer: str, month: date, models: Sequence[tuple[str, str, str, int]]) -> list[dict[str, str]]:
    """Use of (provider, model, country, requests of a day) on every seventh day; an answer is some 300 tokens."""
    rows = []
    for provider, model, country, daily in models:
        for number in range(0, 28, 7):
            day = month + timedelta(days=number)
            requests = daily + mixed(customer, model, day) % daily
            rows.append({"provider": provider, "model": model, "day": day.isoformat(), "requests": str(requests), "tokens_in": str(requests * 850),
                         "tokens_out": str(requests * 300), "latency_seconds": f"{requests * 4.5:.1f}" if number else "", "country": country,
                         "application_id": "assistant", "org_unit": "Research"})
    return rows


def electricity(
    id: str, site: str, country: str, instrument: str, *, factor: float, share: float | None = None, kwh: int | None = None, renewable: float | None = None,
) -> dict[str, str]:
    """An electricity contract since 2024 that covers a share or an amount."""
    figures = {"covered_kwh_per_month": kwh, "covered_share": share, "kgco2e_per_kwh": factor, "renewable_share": renewable}
    return {"contract_id": id, "site": site, "country": country, "start_date": "2024-01-01", "end_date": "", "instrument": instrument,
            **{name: "" if value is None else str(value) for name, value in figures.items()}}


def _saas(customer: str, contracts: Sequence[Mapping[str, Any]]) -> Sample:
    return "saas_contracts", f"{customer}_software.json", json.dumps(contracts, ensure_ascii=False, indent=1), "2024-09"


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[name] for name in columns] for row in rows)
    return out.getvalue()


def _har(address: str, requests: int) -> str:
    """One page load: a document, then pictures and scripts; each seventh browser measure is missing, one request says no size at all."""
    entries = []
    for number in range(requests):
        body = 2000 + mixed(address, number) % 90_000
        sizes: dict[str, Any] = {"headersSize": 310, "bodySize": body, "content": {"size": 2 * body}}
        if number % 7 != 6:
            sizes["_transferSize"] = body + 310
        if number == requests - 1:
            sizes = {"headersSize": -1, "bodySize": -1, "content": {}}  # its bytes cannot be told
        url = address if number == 0 else f"{address}asset/{number}.js?session=visitor-{number}"
        entries.append({"pageref": "page_1", "startedDateTime": f"2024-09-02T09:00:{number:02d}.000Z", "request": {"method": "GET", "url": url, "cookies": []},
                        "response": {"status": 200, **sizes}})
    log = {"version": "1.2", "creator": {"name": "samples", "version": "1"}, "pages": [{"id": "page_1", "title": address}], "entries": entries}
    return json.dumps({"log": log}, indent=1)


def _xml(contracts: Sequence[Mapping[str, str]]) -> str:
    root = Element("energyContracts")
    for row in contracts:
        made = SubElement(root, "contract", id=row["contract_id"])
        for name, key in (("site", "site"), ("country", "country"), ("start", "start_date"), ("instrument", "instrument")):
            SubElement(made, name).text = row[key]
        covered = {name: row[key] for name, key in (("kwhPerMonth", "covered_kwh_per_month"), ("share", "covered_share")) if row[key]}
        SubElement(made, "covered", covered)
        SubElement(made, "kgco2ePerKwh").text = row["kgco2e_per_kwh"]
        SubElement(made, "renewableShare").text = row["renewable_share"]
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"
