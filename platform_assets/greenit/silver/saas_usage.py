"""Usage of software as a service: the nested lists of the contracts, one clean typed row per contract, month and activity.

What belongs here: taking lists apart, reading their elements, refusing what cannot be read. What does not: what an activity weighs (parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import parsed
from platform_assets.contracts import contract
from platform_assets.greenit.silver.service_words import refused, worded
from platform_assets.tables import table
from resources.formats import Convention
from resources.storage import PLACE

MADE = contract(__file__)
FIELDS = ("month", "activity", "quantity")
BY_MONTH = {"usage": Convention(date_pattern="%Y-%m")}  # how the elements of a list are written, whatever the file's format


@ibis.udf.scalar.builtin(name="json_valid")
def _json_valid(text: str) -> bool:  # type: ignore[empty-body]
    """DuckDB's."""


@ibis.udf.scalar.builtin(name="json_type")
def _json_type(text: str) -> str:  # type: ignore[empty-body]
    """DuckDB's: OBJECT, ARRAY, VARCHAR, …"""


@ibis.udf.scalar.builtin(name="json_extract", signature=(("string", "string"), "array<json>"))
def _json_elements(text, path):  # type: ignore[no-untyped-def]
    """DuckDB's: with the path `$[*]` the elements of a list. Its type is JSON: cast it, or a text beside it is read as JSON and raises."""


@ibis.udf.scalar.builtin(name="json_extract_string")
def _json_text(text: str, path: str) -> str:  # type: ignore[empty-body]
    """DuckDB's: a member of an object as plain text."""


@table(__file__)
def saas_usage(saas_contracts: ir.Table, saas_activity: ir.Table) -> ir.Table:
    """One row per element of `usage`; an element that cannot be read carries `_rejects`, and what is no list is one such element."""
    listed = elements(saas_contracts)
    read = parsed(listed, MADE, BY_MONTH)
    shaped = refused(read, (~read.is_object, "TYPE", "usage", read.element))
    named = worded(shaped, "activity_key", "activity", saas_activity, "activity_key", missing="MISSING_KEY")
    return named.select("contract_id", "month_start", "activity_key", "quantity", *PLACE, "_rejects")


def elements(contracts: ir.Table) -> ir.Table:
    """One row per element of a contract's list: `element` (JSON text), `is_object`, the FIELDS as text (NULL where it is no object)."""
    usage = contracts.usage
    is_list = ibis.cases((_json_valid(usage), _json_type(usage) == "ARRAY"), else_=False)
    parts = ibis.cases((usage.isnull(), ibis.null("array<string>")), (is_list, _json_elements(usage, "$[*]").cast("array<string>")), else_=ibis.array([usage]))
    one = contracts.select("contract_id", *PLACE, element=parts.unnest(), _format=ibis.literal("usage"))
    judged = one.mutate(is_object=ibis.cases((_json_valid(_.element), _json_type(_.element) == "OBJECT"), else_=False))
    return judged.mutate(**{name: ibis.cases((judged.is_object, _json_text(judged.element, f"$.{name}"))) for name in FIELDS})
