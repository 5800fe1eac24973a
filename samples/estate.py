"""Sites, organisation, metering, virtual machines and applications of the fictional customers, made from their inventories.

What belongs here: our own arithmetic on the inventory's lines (no clock, no random numbers) and a few bad rows. What does not: the inventory
itself and writing files (samples/generate.py).
"""
from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from samples.catalogue import DEVICES, mixed

Row = dict[str, str]
SITES = ("site_id", "name", "kind", "country", "pue", "wue_l_per_kwh", "org_unit")
UNITS = ("org_unit", "valid_from", "parent", "name", "fte", "revenue_per_month", "currency")
METERING = ("equipment_id", "start_date", "end_date", "energy_kwh", "hours_on", "cpu_pct")
MACHINES = ("vm_id", "equipment_id", "kind", "vcpu", "ram_gb", "storage_gb", "explicit_share", "energy_kwh_per_year", "org_unit")
APPLICATIONS = ("application_id", "environment", "vm_id", "equipment_id", "share", "users", "business_domain", "business_subdomain", "org_unit")
FRENCH = {
    "site_register": ("Code site", "Nom", "Type", "Pays", "PUE", "WUE (L/kWh)", "Entité"),
    "organisation": ("Entité", "Depuis le", "Entité mère", "Nom", "ETP", "Chiffre d'affaires mensuel", "Devise"),
    "equipment_metering": ("N° inventaire", "Du", "Au", "Consommation (kWh)", "Heures allumé", "Charge CPU (%)"),
    "virtual_machines": ("Machine virtuelle", "Hôte", "Type", "vCPU", "Mémoire (Go)", "Stockage (Go)", "Part de l'hôte",
                         "Consommation annuelle (kWh)", "Entité"),
    "applications": ("Application", "Environnement", "Machine virtuelle", "Hôte", "Part", "Utilisateurs", "Domaine", "Sous-domaine", "Entité"),
}
CONFIGURATION = ("condition", "cpu_units", "cpu_cores", "cpu_tdp_watts", "ram_gb", "ssd_gb", "hdd_units", "power_watts", "expected_lifetime_years")
FRENCH_CONFIGURATION = ("État à l'achat", "Processeurs", "Cœurs", "TDP d'un processeur (W)", "Mémoire (Go)", "SSD (Go)", "Disques durs",
                        "Puissance moyenne (W)", "Durée d'usage prévue (ans)")
BUSINESS = (("Sales", "web shop"), ("Sales", "crm"), ("Finance", "ledger"), ("Production", "planning"), ("Research", "simulation"), ("Support", "tickets"))
YEARLY_KWH = {device.model: device.kwh for device in DEVICES}


def configuration(customer: str, number: int, kind: str, kwh_per_year: float) -> Row:
    """What an inventory says of the parts of line `number`: of two servers in three something, of some laptops their condition."""
    if kind == "laptop" and number % 5 == 0:
        return {"condition": "refurbished", "expected_lifetime_years": "4"}
    if kind != "server" or number % 3 == 0:
        return {}
    size = mixed(customer, number, 20) % 4
    parts = {"condition": "new", "cpu_units": "2", "cpu_cores": str((24, 32, 48, 64)[size]), "cpu_tdp_watts": str((105, 135, 165, 205)[size]),
             "ram_gb": str((128, 256, 384, 512)[size]), "ssd_gb": str((960, 1920, 3840, 7680)[size]), "hdd_units": str(size)}
    return parts if number % 2 else {**parts, "power_watts": f"{kwh_per_year / 8.766 * 1.05:.1f}", "expected_lifetime_years": "6"}


def sites(rooms: Sequence[tuple[str, str, str, str]], offices: Iterable[tuple[str, str]], kinds: tuple[str, str] = ("datacentre", "office")) -> list[Row]:
    """`rooms` are (site_id, country, PUE, WUE), `offices` (site_id, country); the register calls them by `kinds`."""
    halls = [{"site_id": site, "name": f"Room {site}", "kind": kinds[0], "country": country, "pue": pue, "wue_l_per_kwh": wue, "org_unit": "IT"}
             for site, country, pue, wue in rooms]
    return [*halls, *({"site_id": site, "name": site, "kind": kinds[1], "country": country} for site, country in offices)]


def organisation(customer: str, top: str, units: Sequence[str], people: int, revenue: int, currency: str) -> list[Row]:
    """A company and its units since 2023; every second unit has other figures from July 2024 on. `revenue` is the company's per month."""
    weights = [1 + mixed(customer, unit, 30) % 5 for unit in units]
    rows = [{"org_unit": top, "valid_from": "2023-01-01", "name": f"{top} as a whole"}]
    for number, (unit, weight) in enumerate(zip(units, weights, strict=True)):
        share = weight / sum(weights)
        figures = {"org_unit": unit, "parent": top, "name": unit, "currency": currency}
        rows.append({**figures, "valid_from": "2023-01-01", "fte": f"{people * share:.1f}", "revenue_per_month": f"{revenue * share:.2f}"})
        if number % 2:
            rows.append({**figures, "valid_from": "2024-07-01", "fte": f"{people * share * 1.1:.1f}", "revenue_per_month": f"{revenue * share * 1.05:.2f}"})
    return rows


def hosts(inventory: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The servers of an inventory that are in use in a datacentre."""
    return [row for row in inventory if row["item_type"] == "server" and row["status"] == "in use" and row["datacentre"]]


def metering(customer: str, inventory: Sequence[Mapping[str, str]], month: date) -> list[Row]:
    """A month of every second host; some are read in two halves, some say no load, some were off for a while."""
    days = calendar.monthrange(month.year, month.month)[1]
    rows = []
    for row in hosts(inventory)[::2]:
        number = mixed(customer, row["equipment_id"], month, 40)
        halves = [(1, 15), (16, days)] if number % 5 == 0 else [(1, days)]
        for first, last in halves:
            length, on = last - first + 1, 0.9 if number % 7 == 0 else 1.0
            kwh = YEARLY_KWH[row["model"]] * int(row["quantity"]) * length / 365.25 * on * (85 + number % 30) / 100
            start, end = (month.replace(day=day).isoformat() for day in (first, last))
            rows.append({"equipment_id": row["equipment_id"], "start_date": start, "end_date": end, "energy_kwh": f"{kwh:.2f}",
                         "hours_on": f"{24 * length * on:.1f}", "cpu_pct": f"{12 + number % 610 / 10:.1f}" if number % 4 else ""})
    return rows


def machines(customer: str, inventory: Sequence[Mapping[str, str]]) -> list[Row]:
    """Two to five virtual machines on each host, the last of five for storage; on every sixth host the customer sets the shares itself."""
    rows = []
    for row in hosts(inventory):
        count = 2 + mixed(customer, row["equipment_id"], 50) % 4
        for place in range(1, count + 1):
            number = mixed(customer, row["equipment_id"], place, 51)
            is_storage = place == 5
            rows.append({
                "vm_id": f"vm-{row['equipment_id'].lower()}-{place}", "equipment_id": row["equipment_id"], "kind": "storage" if is_storage else "compute",
                "vcpu": "" if is_storage else str((2, 4, 8, 16)[number % 4]), "ram_gb": str((8, 16, 32, 64)[number % 4]),
                "storage_gb": str(100 * (1 + number % 20)),
                "explicit_share": f"{0.8 / count:.3f}" if mixed(customer, row["equipment_id"], 52) % 6 == 0 else "", "org_unit": row["org_unit"],
            })
    return rows


def applications(customer: str, vms: Sequence[Mapping[str, str]]) -> list[Row]:
    """Each machine for computing but every ninth carries an application or two; production has users, tests have none."""
    rows = []
    for place, vm in enumerate(vm for vm in vms if vm["kind"] == "compute"):
        for turn in range(0 if place % 9 == 8 else 1 + (place % 7 == 3)):
            domain, part = BUSINESS[(mixed(customer, vm["vm_id"], 60) + turn) % len(BUSINESS)]
            is_test = mixed(customer, vm["vm_id"], 61) % 3 == 0
            rows.append({
                "application_id": part.replace(" ", "-"), "environment": "test" if is_test else "production", "vm_id": vm["vm_id"],
                "equipment_id": vm["equipment_id"], "users": "" if is_test else str(40 + mixed(customer, part) % 900), "business_domain": domain,
                "business_subdomain": part, "org_unit": vm["org_unit"], "share": ("0.7", "0.3")[turn] if place % 14 == 3 else "",
            })
    return rows


def french(rows: Sequence[Row]) -> list[Row]:
    """The same rows as a French export writes them: dd/mm/yyyy and decimal commas."""
    dates = {"start_date", "end_date", "valid_from"}
    numbers = {"pue", "wue_l_per_kwh", "fte", "revenue_per_month", "energy_kwh", "hours_on", "cpu_pct", "explicit_share", "share"}
    words = {"compute": "calcul", "storage": "stockage"}

    def shown(name: str, text: str) -> str:
        if name in dates:
            return "/".join(reversed(text.split("-")))
        return text.replace(".", ",") if name in numbers else words.get(text, text)

    return [{name: shown(name, text) for name, text in row.items()} for row in rows]
