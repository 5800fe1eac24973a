"""The inventory, one clean typed row per line delivered.

What belongs here: reading text, conforming words by vocabularies, refusing what cannot be read. What does not: which lines have an impact
(`parameters/status_rule.csv`), what a type weighs (`parameters/item_map.csv`).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import decimal_text, rejects, slug, to_date, to_decimal, trimmed, unreadable
from platform_assets.greenit.bronze.equipment_inventory import CONVENTIONS
from platform_assets.tables import table

TEXTS = ("equipment_id", "model", "manufacturer", "org_unit", "currency", "cpu_model")
WHOLE = ("quantity", "cpu_units", "cpu_cores", "hdd_units")
MEASURES = ("energy_kwh_per_year", "cpu_tdp_watts", "ram_gb", "ssd_gb", "power_watts", "expected_lifetime_years")
NUMBERS = (*WHOLE, *MEASURES, "unit_price")
WORDS = {"country": "country_code", "status": "status", "ownership": "ownership", "condition": "condition"}
DATES = ("purchase_date", "retired_date")
DUE_OWNERSHIP = "owned"


@table(__file__)
def equipment(equipment_inventory: ir.Table, country: ir.Table, equipment_status: ir.Table, ownership: ir.Table, equipment_condition: ir.Table) -> ir.Table:
    """Inventory lines with conformed country, status, ownership and condition; a row with trouble carries `_rejects`.

    `retired_date` is kept only where status says retired: some exports put their own date there. Of a repeated key every row is refused:
    nobody can say which one is true.
    """
    raw = conformed(equipment_inventory, country=country, status=equipment_status, ownership=ownership, condition=equipment_condition)
    read = raw.mutate(
        **{name: trimmed(_[name]) for name in TEXTS},
        **{f"{name}_read": to_decimal(_[f"{name}_text"], 12) for name in NUMBERS},
        **{f"{name}_read": to_date(_[name], _["_format"], CONVENTIONS) for name in DATES},
        site_id=ibis.coalesce(trimmed(_.datacentre), trimmed(_.site)),
        is_datacentre=trimmed(_.datacentre).notnull(),
        copies=ibis._.count().over(ibis.window(group_by=_.equipment_id.strip())),
    ).mutate(kept_retired_date=ibis.ifelse(_.status_known == "retired", _.retired_date_read, ibis.null("date")))
    return read.select(
        "equipment_id", "model", "manufacturer", "cpu_model", "site_id", "is_datacentre", "org_unit",
        item_type=slug(_.item_type),
        status=_.status_known,
        ownership=ibis.ifelse(trimmed(_.ownership).isnull(), DUE_OWNERSHIP, _.ownership_known),
        condition=_.condition_known,
        purchase_date=_.purchase_date_read,
        retired_date=_.kept_retired_date,
        country_code=_.country_known,
        unit_price=_.unit_price_read,
        currency=_.currency.upper(),
        **{name: _[f"{name}_read"].try_cast("int64") for name in WHOLE},
        **{name: _[f"{name}_read"].cast("float64") for name in MEASURES},
        _file=_["_file"], _row=_["_row"], _sha256=_["_sha256"],
        _rejects=refusals(read),
    )  # fmt: skip


def conformed(inventory: ir.Table, **vocabularies: ir.Table) -> ir.Table:
    """The raw lines with `<word>_known`, what the vocabularies say (NULL: not known), and numbers as plain text."""
    aliased = inventory.mutate(
        **{f"{word}_alias": slug(_[word]) for word in WORDS},
        **{f"{name}_text": decimal_text(_[name], _["_format"], CONVENTIONS) for name in NUMBERS},
    )
    for word, vocabulary in vocabularies.items():
        known = vocabulary.select(**{f"{word}_alias": "alias", f"{word}_known": WORDS[word]})
        aliased = aliased.left_join(known, f"{word}_alias").drop(f"{word}_alias_right")
    return aliased


def refusals(read: ir.Table) -> ir.ArrayValue:
    """Every rule a line can break, with the raw text that broke it; ranges of measures are the contract's."""
    r = read
    required = [(trimmed(r[name]).isnull(), "MISSING_VALUE", name, r[name]) for name in ("equipment_id", "item_type", "quantity", "status")]
    numbers = [(unreadable(r[name], r[f"{name}_read"]), "NUMBER_FORMAT", name, r[name]) for name in NUMBERS]
    parts = [(r[f"{name}_read"] != r[f"{name}_read"].floor(), "NUMBER_FORMAT", name, r[name]) for name in WHOLE]
    dates = [(unreadable(r[name], r[f"{name}_read"]), "DATE_FORMAT", name, r[name]) for name in DATES]
    words = [(unreadable(r[word], r[f"{word}_known"]), "DOMAIN", word, r[word]) for word in WORDS]
    return rejects(
        *required, *numbers, *dates, *words, *parts,
        (r.equipment_id.notnull() & (r.copies > 1), "DUPLICATE", "equipment_id", r.equipment_id),
        ((r.quantity_read < 1) | (r.quantity_read > 1_000_000_000), "NUMBER_RANGE", "quantity", r.quantity),
        (r.energy_kwh_per_year_read < 0, "NUMBER_RANGE", "energy_kwh_per_year", r.energy_kwh_per_year),
        (r.unit_price_read < 0, "NUMBER_RANGE", "unit_price", r.unit_price),
        (r.retired_date_read < r.purchase_date_read, "DATE_RANGE", "retired_date", r.retired_date),
    )  # fmt: skip
