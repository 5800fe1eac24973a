"""Sample deliveries of the three fictional customers: `python -m samples.generate <folder>`.

What belongs here: our own deterministic arithmetic (no clock, no random numbers, no third party's text) and the list of `land` calls in
the order in which the files arrive. What does not: catalogues of devices (samples/catalogue.py) and reading any of it.
Awkward on purpose: broken dates, an unknown country, a duplicate key, a ragged row, a stray quote, numbers that are none, a late and a
corrected delivery, decimal commas, no-break spaces, two files in one period.
"""
from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from samples import estate, services
from samples.billing import AWS, AZURE, FOCUS, Account, lines
from samples.catalogue import DEVICES, mixed

MONTHS = (date(2024, 6, 1), date(2024, 7, 1), date(2024, 8, 1), date(2024, 9, 1))
INVENTORY = ("equipment_id", "model", "manufacturer", "item_type", "quantity", "status", "ownership", "purchase_date", "retired_date", "exported_at",
             "country", "site", "datacentre", "org_unit", "energy_kwh_per_year", "unit_price", "currency", *estate.CONFIGURATION)
FRENCH = ("N° inventaire", "Modèle", "Constructeur", "Type", "Quantité", "Statut", "Propriété", "Date d'achat", "Date de sortie", "Exporté le",
          "Pays", "Site", "Centre de données", "Entité", "Consommation annuelle (kWh)", "Prix unitaire", "Devise", *estate.FRENCH_CONFIGURATION)
UNITS = ("Sales", "Research", "Finance", "Plant, north", 'Team "Blue"', "IT")
DECIMALS = {name: pa.decimal128(38, 12) for name in FOCUS if name.endswith(("Cost", "Quantity", "UnitPrice"))}
MOMENTS = {name: pa.timestamp("us", "UTC") for name in FOCUS if name.endswith(("PeriodStart", "PeriodEnd"))}


@dataclass(frozen=True)
class Delivery:
    """One `land` call. `files` are names within the folder; `period` is YYYY-MM; `sequence` None takes the next one."""

    customer: str
    source: str
    files: list[str]
    period: str | None
    sequence: int | None = None


@dataclass(frozen=True)
class Place:
    """Where equipment stands, as the customer writes it; `weight` is its share of all lines."""

    country: str
    site: str
    datacentre: str
    weight: int


def inventory(customer: str, count: int, places: Sequence[Place], exported: date, currency: str, grown: int = 0) -> list[dict[str, str]]:
    """`count` equipment lines in Strata's own columns; the same line has the same attributes in every export, `grown` retires and adds some."""
    spread = [place for place in places for _ in range(place.weight)]
    rows = []
    for number in range(1, count + 1):
        device = DEVICES[mixed(customer, number) % len(DEVICES)]
        in_datacentre = [place for place in spread if place.datacentre]
        candidates = in_datacentre if device.is_datacentre and in_datacentre else [place for place in spread if not place.datacentre] or spread
        place = candidates[mixed(customer, number, 2) % len(candidates)]
        bought = date(2017, 3, 1) + timedelta(days=mixed(customer, number, 3) % 2650)
        retired = bought + timedelta(days=1500 + mixed(customer, number, 4) % 900)
        is_retired = retired < exported and (number + grown) % 7 == 0
        rows.append({
            "equipment_id": f"{customer[:2].upper()}-{number:05d}", "model": device.model, "manufacturer": device.maker, "item_type": device.kind,
            "quantity": str(1 if device.is_datacentre else 1 + mixed(customer, number, 5) % (48 if number % 9 == 0 else 6)),
            "status": "retired" if is_retired else "in stock" if number % 23 == 0 else "in use",
            "ownership": ("owned", "owned", "leased", "rented")[mixed(customer, number, 6) % 4],
            "purchase_date": bought.isoformat(), "retired_date": retired.isoformat() if is_retired else "", "exported_at": exported.isoformat(),
            "country": place.country, "site": place.site, "datacentre": place.datacentre,
            "org_unit": UNITS[mixed(customer, number, 7) % 6],
            "energy_kwh_per_year": f"{device.kwh * (90 + mixed(customer, number, 8) % 25) / 100:.1f}" if number % 3 else "",
            "unit_price": f"{device.price * (80 + mixed(customer, number, 9) % 41) / 100:.2f}", "currency": currency,
            **estate.configuration(customer, number, device.kind, device.kwh),
        })
    return [row for row in rows if date.fromisoformat(row["purchase_date"]) <= exported]


def csv_text(
    columns: Sequence[str], rows: Sequence[Mapping[str, str | None]], delimiter: str = ",", line_end: str = "\n", names: Sequence[str] | None = None,
) -> str:
    """RFC 4180 text with a header; None and "" are the empty field."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(names or columns)
    writer.writerows([row.get(name) or "" for name in columns] for row in rows)
    return out.getvalue()


def french(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same lines as a French spreadsheet shows them: dd/mm/yyyy, decimal commas, thousands by (no-break) spaces, French words."""
    words = {"in use": "En service", "in stock": "En stock", "retired": "Réformé", "owned": "Acheté", "leased": "Crédit-bail", "rented": "Loué",
             "new": "Neuf", "refurbished": "Reconditionné"}
    shown = []
    for number, row in enumerate(rows):
        dates = {name: "/".join(reversed(row[name].split("-"))) for name in ("purchase_date", "retired_date", "exported_at")}
        mark = (" ", "\u00a0", "\u202f")[number % 3]
        numbers = {name: _french_number(row[name], mark) for name in ("energy_kwh_per_year", "unit_price", "quantity")}
        parts = {name: words.get(row[name]) or _french_number(row[name], mark) for name in estate.CONFIGURATION if name in row}
        shown.append({**row, **dates, **numbers, **parts, "status": words[row["status"]], "ownership": words[row["ownership"]]})
    return shown


def _french_number(text: str, mark: str) -> str:
    if not text:
        return "n.c."
    whole, _, part = text.partition(".")
    grouped = f"{int(whole):,}".replace(",", mark)
    return f"{grouped},{part}" if part else grouped


def parquet(path: Path, rows: Sequence[dict[str, str | None]]) -> None:
    """Billing as typed Parquet: decimals, UTC timestamps, text."""
    arrays = {}
    for name in FOCUS:
        values = pa.array([row.get(name) for row in rows], pa.string())
        if name in MOMENTS:
            values = pa.compute.strptime(values, format="%Y-%m-%dT%H:%M:%SZ", unit="us").cast(MOMENTS[name])
        arrays[name] = values.cast(DECIMALS[name]) if name in DECIMALS else values
    pq.write_table(pa.table(arrays), path, compression="zstd", store_schema=False)


def acme(folder: Path) -> Iterator[Delivery]:
    """Euro, France and Germany; FOCUS CSV of AWS in two regions; one inventory with a handful of bad rows."""
    places = [Place("FR", "Lyon", "", 5), Place("DE", "Leipzig", "", 3), Place("FR", "Lyon", "LYO1", 2), Place("DE", "Leipzig", "LEJ-A", 1)]
    rows = inventory("acme", 310, places, date(2024, 9, 30), "EUR")
    rows[11]["purchase_date"] = "2023-02-30"  # no such day
    rows[40]["country"] = "Atlantis"  # no such country
    rows[77]["quantity"] = "twelve"  # no number
    rows[120] = {**rows[119], "status": "in stock"}  # a key used twice, with another status
    shown = csv_text(INVENTORY, rows).splitlines(keepends=True)
    shown[60] = shown[60].rstrip("\n").rsplit(",", 3)[0] + "\n"  # ragged: three fields short
    for word, broken in ((",in use,", ',in "use,'), (",in stock,", ',in "stock,'), (",retired,", ',re"tired,')):
        shown[200] = shown[200].replace(word, broken, 1)  # a stray quote
    yield _written(folder, "acme", "equipment_inventory", "inventory_2024-09.csv", "".join(shown), "2024-09")
    yield from _acme_estate(folder, rows)
    account = Account("210000000017", "Acme Tools", "EUR", AWS, ("eu-west-3", "eu-central-1"), ("210000000025", "Acme Lab"))
    for month in MONTHS:
        billed = list(lines(account, month, 520))
        if month == MONTHS[-1]:
            billed[100]["ChargePeriodStart"] = "2024-09-31T00:00:00Z"  # no such day
            billed[200]["ConsumedQuantity"] = "1,5"  # a decimal comma in a format that has none
            billed[300]["Tags"] = json.dumps({"note": 'two\nlines, "quoted"'})  # good, though it spans two lines
        text = csv_text(FOCUS, billed, line_end="\r\n" if month == MONTHS[1] else "\n")
        if month == MONTHS[2]:
            text = "\ufeff" + text
        yield _written(folder, "acme", "cloud_billing", f"aws-focus-{month:%Y-%m}.csv", text, f"{month:%Y-%m}")
    yield from (_written(folder, "acme", *sample) for sample in services.acme())


def _acme_estate(folder: Path, rows: list[dict[str, str]]) -> Iterator[Delivery]:
    """In Strata's own columns, with a room that gives more than it takes, a unit of a dozen words, a host and a machine that nobody knows."""
    places = estate.sites([("LYO1", "FR", "1.38", "0.25"), ("LEJ-A", "DE", "1.52", ""), ("LEJ-B", "DE", "0.90", "")], [("Lyon", "FR"), ("Leipzig", "DE")])
    units = estate.organisation("acme", "Acme", UNITS, 640, 9_400_000, "EUR")
    units.append({"org_unit": "Museum", "valid_from": "2024-01-01", "parent": "Acme", "fte": "about a dozen"})
    vms = estate.machines("acme", rows)
    running = estate.applications("acme", vms)
    vms.append({"vm_id": "vm-lost", "equipment_id": "AC-99999", "kind": "compute", "vcpu": "4"})  # no such host
    running.append({"application_id": "phantom", "environment": "production", "vm_id": "vm-nowhere"})  # no such machine
    yield from _estate(folder, "acme", {"site_register": places, "organisation": units, "virtual_machines": vms, "applications": running})
    for month in MONTHS:
        read = estate.metering("acme", rows, month)
        if month == MONTHS[-1]:
            read[1]["cpu_pct"] = "140"  # more than a processor can
            read[2]["end_date"] = "2024-10-02"  # into another month
            read.append({**read[4], "equipment_id": "AC-88888"})  # measured, in no inventory
        yield _written(folder, "acme", "equipment_metering", f"power_{month:%Y-%m}.csv", csv_text(estate.METERING, read), f"{month:%Y-%m}")


def _estate(folder: Path, customer: str, sources: Mapping[str, list[dict[str, str]]], is_french: bool = False) -> Iterator[Delivery]:
    """The snapshots of September, in Strata's columns or in French ones."""
    columns = {"site_register": estate.SITES, "organisation": estate.UNITS, "virtual_machines": estate.MACHINES, "applications": estate.APPLICATIONS}
    for source, rows in sources.items():
        shown = estate.french(rows) if is_french else rows
        text = csv_text(columns[source], shown, *((";", "\r\n", estate.FRENCH[source]) if is_french else ()))
        yield _written(folder, customer, source, f"{source}_2024-09.csv", text, "2024-09")


def globex(folder: Path) -> Iterator[Delivery]:
    """Switzerland and France in French, decimal commas; AWS and Azure as Parquet, two files in each period."""
    places = [Place("Suisse", "Genève", "", 4), Place("France", "Annecy", "", 4), Place("Suisse", "Genève", "GVA-2", 2), Place("CH", "Zürich", "", 1)]
    for month, grown in ((MONTHS[1], 0), (MONTHS[3], 1)):
        exported = month.replace(day=30)
        rows = french(inventory("globex", 295 + 8 * grown, places, exported, "CHF", grown))
        for number, row in enumerate(rows):
            row["currency"] = "EUR" if row["country"] == "France" else "CHF"
            row["model"] = row["model"] + ' 27"' if number % 50 == 7 else row["model"]
        if grown:
            rows[33]["purchase_date"] = "31/02/2022"  # no such day
            rows[66]["unit_price"] = "1.234,5O"  # a letter O
            rows[99]["country"] = "Syldavie"  # no such country
        stock = inventory("globex", 295 + 8 * grown, places, exported, "CHF", grown)
        name = f"parc_informatique_{month:%Y-%m}.csv"
        yield _written(folder, "globex", "equipment_inventory", name, csv_text(INVENTORY, rows, ";", "\r\n", FRENCH), f"{month:%Y-%m}")
        read = estate.french(estate.metering("globex", stock, month))
        if grown:
            read[0]["energy_kwh"] = "1 2 3,5"  # no number
        text = csv_text(estate.METERING, read, ";", "\r\n", estate.FRENCH["equipment_metering"])
        yield _written(folder, "globex", "equipment_metering", f"releves_{month:%Y-%m}.csv", text, f"{month:%Y-%m}")
    rooms = estate.sites([("GVA-2", "Suisse", "1.29", "0.1")], [("Genève", "Suisse"), ("Annecy", "France"), ("Zürich", "CH")], ("centre de données", "bureau"))
    vms = estate.machines("globex", stock)
    vms[1]["kind"] = "quantique"  # no such kind
    running = estate.applications("globex", vms)
    units = estate.organisation("globex", "Globex", UNITS, 1150, 21_000_000, "CHF")
    yield from _estate(folder, "globex", {"site_register": rooms, "organisation": units, "virtual_machines": vms, "applications": running}, is_french=True)
    aws = Account("330000000033", "Globex", "CHF", AWS, ("eu-central-2", "eu-west-1"), ("330000000041", "Globex Data"))
    subscription = ("9c1d7f60-0000-4000-8000-00000000a001", "Globex Apps")
    azure = Account("EA-7700441", "Globex Enterprise Agreement", "EUR", AZURE, ("switzerlandnorth", "francecentral"), subscription)
    for month in MONTHS:
        files = []
        for label, account, count in (("aws", aws, 290), ("azure", azure, 250)):
            name = f"globex/cloud_billing/focus-{label}-{month:%Y-%m}.parquet"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            parquet(folder / name, list(lines(account, month, count)))
            files.append(name)
        yield Delivery("globex", "cloud_billing", files, f"{month:%Y-%m}")
    yield from (_written(folder, "globex", *sample) for sample in services.globex())


def initech(folder: Path) -> Iterator[Delivery]:
    """One country, no cloud. The export of August comes first, a late one of June after it, then September and its correction."""
    places = [Place("US", "Austin", "", 6), Place("US", "Omaha", "", 3), Place("US", "Omaha", "OMA1", 2)]
    for month, count, sequence in ((MONTHS[2], 280, None), (MONTHS[0], 260, None), (MONTHS[3], 300, 1), (MONTHS[3], 303, 2)):
        rows = inventory("initech", count, places, month.replace(day=30), "USD", month.month)
        if sequence == 1:
            rows = rows[: len(rows) // 2]  # half of the export was missing: sequence 2 corrects it
        if sequence == 2:
            rows[5]["unit_price"] = "USD 1,020"  # a currency and a comma in a number
            rows[15]["retired_date"] = "2024-13-01"  # no such month
        name = f"assets_{month:%Y-%m}{'_v2' if sequence == 2 else ''}.csv"
        yield _written(folder, "initech", "equipment_inventory", name, csv_text(INVENTORY, rows), f"{month:%Y-%m}", sequence)
        if sequence != 1:
            read = estate.metering("initech", rows, month)
            yield _written(folder, "initech", "equipment_metering", f"meters_{month:%Y-%m}.csv", csv_text(estate.METERING, read), f"{month:%Y-%m}")
    rooms = estate.sites([("OMA1", "US", "1.61", "1.8")], [("Austin", "US"), ("Omaha", "US")], ("data center", "branch"))
    rooms.append(dict(rooms[1]))  # an office that stands there twice
    vms = estate.machines("initech", rows)
    units = estate.organisation("initech", "Initech", UNITS, 420, 5_200_000, "USD")
    running = estate.applications("initech", vms)
    yield from _estate(folder, "initech", {"site_register": rooms, "organisation": units, "virtual_machines": vms, "applications": running})
    yield from (_written(folder, "initech", *sample) for sample in services.initech())


def _written(folder: Path, customer: str, source: str, name: str, text: str, period: str, sequence: int | None = None) -> Delivery:
    file = f"{customer}/{source}/{name}"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text, encoding="utf-8", newline="")
    return Delivery(customer, source, [file], period, sequence)


CUSTOMERS: tuple[Callable[[Path], Iterator[Delivery]], ...] = (acme, globex, initech)


def generate(folder: Path) -> list[Delivery]:
    """Write all files and `manifest.json` under `folder`; returns the deliveries in the order in which they arrive."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    deliveries = [delivery for customer in CUSTOMERS for delivery in customer(folder)]
    (folder / "manifest.json").write_text(json.dumps([asdict(delivery) for delivery in deliveries], indent=1) + "\n", encoding="utf-8")
    return deliveries


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m samples.generate <folder>")
    made = generate(Path(sys.argv[1]))
    print(f"{len(made)} deliveries, {sum(len(delivery.files) for delivery in made)} files in {sys.argv[1]}")
