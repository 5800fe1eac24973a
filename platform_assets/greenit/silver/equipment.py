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

TEXTS = ("equipment_id", "model", "manufacturer", "org_unit", "currency")
NUMBERS = ("quantity", "energy_kwh_per_year", "unit_price")
DATES = ("purchase_date", "retired_date")
DUE_STATUS, DUE_OWNERSHIP = "in_use", "owned"


@table(__file__)
def equipment(equipment_inventory: ir.Table, country: ir.Table, equipment_status: ir.Table, ownership: ir.Table) -> ir.Table:
    """Inventory lines with conformed country, status and ownership; a row with trouble carries `_rejects`.

    `retired_date` is kept only where status says retired: some exports put their own date there. Of a repeated key every row is refused:
    nobody can say which one is true.
    """
    raw = conformed(equipment_inventory, country, equipment_status, ownership)
    read = raw.mutate(
        **{name: trimmed(_[name]) for name in TEXTS},
        **{f"{name}_read": to_decimal(_[f"{name}_text"], 12) for name in NUMBERS},
        **{f"{name}_read": to_date(_[name], _["_format"], CONVENTIONS) for name in DATES},
        site_id=ibis.coalesce(trimmed(_.datacentre), trimmed(_.site)),
        is_datacentre=trimmed(_.datacentre).notnull(),
        copies=ibis._.count().over(ibis.window(group_by=_.equipment_id.strip())),
    ).mutate(kept_retired_date=ibis.ifelse(_.status_known == "retired", _.retired_date_read, ibis.null("date")))
    return read.select(
        "equipment_id",
        item_type=slug(_.item_type),
        model=_.model,
        manufacturer=_.manufacturer,
        quantity=_.quantity_read.try_cast("int64"),
        status=_.status_known,
        ownership=ibis.ifelse(trimmed(_.ownership).isnull(), DUE_OWNERSHIP, _.ownership_known),
        purchase_date=_.purchase_date_read,
        retired_date=_.kept_retired_date,
        country_code=_.country_code,
        site_id=_.site_id,
        is_datacentre=_.is_datacentre,
        org_unit=_.org_unit,
        energy_kwh_per_year=_.energy_kwh_per_year_read.cast("float64"),
        unit_price=_.unit_price_read,
        currency=_.currency.upper(),
        _file=_["_file"], _row=_["_row"], _sha256=_["_sha256"],
        _rejects=refusals(read),
    )  # fmt: skip


def conformed(inventory: ir.Table, country: ir.Table, status: ir.Table, ownership: ir.Table) -> ir.Table:
    """The raw lines with what the vocabularies say of country, status and ownership (NULL: not known), and numbers as plain text."""
    return (
        inventory.mutate(
            country_alias=slug(_.country), status_alias=slug(_.status), ownership_alias=slug(_.ownership),
            **{f"{name}_text": decimal_text(_[name], _["_format"], CONVENTIONS) for name in NUMBERS},
        )
        .left_join(country.select(country_alias="alias", country_code="country_code"), "country_alias").drop("country_alias_right")
        .left_join(status.select(status_alias="alias", status_known="status"), "status_alias").drop("status_alias_right")
        .left_join(ownership.select(ownership_alias="alias", ownership_known="ownership"), "ownership_alias").drop("ownership_alias_right")
    )  # fmt: skip


def refusals(read: ir.Table) -> ir.ArrayValue:
    """Every rule a line can break, with the raw text that broke it."""
    r = read
    required = [(trimmed(r[name]).isnull(), "MISSING_VALUE", name, r[name]) for name in ("equipment_id", "item_type", "quantity", "status")]
    numbers = [(unreadable(r[name], r[f"{name}_read"]), "NUMBER_FORMAT", name, r[name]) for name in NUMBERS]
    dates = [(unreadable(r[name], r[f"{name}_read"]), "DATE_FORMAT", name, r[name]) for name in DATES]
    words = [
        (unreadable(r[raw], r[known]), "DOMAIN", raw, r[raw])
        for raw, known in (("country", "country_code"), ("status", "status_known"), ("ownership", "ownership_known"))
    ]
    return rejects(
        *required, *numbers, *dates, *words,
        (r.equipment_id.notnull() & (r.copies > 1), "DUPLICATE", "equipment_id", r.equipment_id),
        (r.quantity_read != r.quantity_read.floor(), "NUMBER_FORMAT", "quantity", r.quantity),
        ((r.quantity_read < 1) | (r.quantity_read > 1_000_000_000), "NUMBER_RANGE", "quantity", r.quantity),
        (r.energy_kwh_per_year_read < 0, "NUMBER_RANGE", "energy_kwh_per_year", r.energy_kwh_per_year),
        (r.unit_price_read < 0, "NUMBER_RANGE", "unit_price", r.unit_price),
        (r.kept_retired_date < r.purchase_date_read, "DATE_RANGE", "retired_date", r.retired_date),
    )  # fmt: skip
