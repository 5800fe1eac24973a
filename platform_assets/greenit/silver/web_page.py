"""Web pages by the page loads that were recorded: bytes and requests of one load.

What belongs here: bytes of a request, the name of its page, sums. What does not: views (web_traffic) and what bytes weigh (gold).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import decimal_text, rejects, to_decimal, unreadable
from platform_assets.greenit.bronze.web_page_loads import CONVENTIONS
from platform_assets.greenit.silver.service_words import page_name
from platform_assets.tables import table
from resources.storage import PLACE

SIZES = ("transfer_bytes", "header_bytes", "body_bytes", "content_bytes")
LOAD = ("_sha256", "page_ref")
BASES = ("transfer_size", "body_size", "content_size")  # best first
UNKNOWN = -1  # HAR 1.2: the size is not available


@table(__file__)
def web_page(web_page_loads: ir.Table) -> ir.Table:
    """One row per page, the mean of its loads; a request whose bytes cannot be told stands beside them with `_rejects`.

    The page of a load is the address of its first request: HAR keeps the addresses of pages in titles, if at all.
    """
    read = requests(web_page_loads.mutate(page_ref=_.page_ref.fill_null("")))
    good = read.filter(_["_rejects"].isnull())
    loads = good.group_by("page_id", *LOAD).agg(load_bytes=_.bytes.sum(), load_requests=_.count(), **{base: (_.basis == base).sum() for base in BASES})
    pages = loads.group_by("page_id").agg(
        transferred_bytes=_.load_bytes.mean().round().cast("int64"), requests=_.load_requests.mean().round().cast("int64"), loads=_.count(),
        **{f"{base}_requests": _[base].sum().cast("decimal(38, 0)").cast("int64") for base in BASES},
    )  # fmt: skip
    bad = read.filter(_["_rejects"].notnull()).select("page_id", *PLACE, "_rejects")
    types = {**pages.schema(), **bad.schema()}
    return pages.mutate(**nulls(types, pages)).select(*types).union(bad.mutate(**nulls(types, bad)).select(*types))


def nulls(types: dict, there: ir.Table) -> dict[str, ir.Value]:
    """The columns that a table lacks, empty."""
    return {name: ibis.null(kind) for name, kind in types.items() if name not in there.columns}


def requests(loads: ir.Table) -> ir.Table:
    """Requests with `page_id`, `bytes`, `basis` (which size it is) and `_rejects`.

    Bytes are those over the wire; else header and body (a header that is not known counts nothing); else the decompressed body.
    """
    texts = loads.mutate(**{f"{name}_text": decimal_text(_[name], _["_format"], CONVENTIONS) for name in SIZES}, place=ibis.row_number().over(_in_load()))
    sized = texts.mutate(**{f"{name}_read": to_decimal(_[f"{name}_text"], 0).try_cast("int64") for name in SIZES}, is_inline=_.url == "data:")
    first = sized.filter(_.place == 0).select(*LOAD, page_id=page_name(_.url))
    read = sized.left_join(first, LOAD).drop(*(f"{name}_right" for name in LOAD))
    wire, header, body, content = (read[f"{name}_read"] for name in SIZES)
    known = [(read.is_inline, ibis.literal(0), BASES[0]), (wire >= 0, wire, BASES[0]),
             (body >= 0, body + ibis.greatest(header.fill_null(0), 0), BASES[1]), (content >= 0, content, BASES[2])]  # fmt: skip
    return read.mutate(
        bytes=ibis.cases(*((is_known, size.cast("int64")) for is_known, size, _basis in known)),
        basis=ibis.cases(*((is_known, basis) for is_known, _size, basis in known)),
        _rejects=rejects(
            *((unreadable(read[name], read[f"{name}_read"]), "NUMBER_FORMAT", name, read[name]) for name in SIZES),
            *((read[f"{name}_read"] < UNKNOWN, "NUMBER_RANGE", name, read[name]) for name in SIZES),
            (~ibis.or_(*(is_known.fill_null(False) for is_known, *_rest in known)), "MISSING_VALUE", "content_bytes", read.content_bytes),
            (read.page_id.isnull(), "MISSING_KEY", "url", read.url),
        ),
    )  # fmt: skip


def _in_load() -> ibis.expr.builders.WindowBuilder:
    """The requests of one page load by their start; the file's order where two started together."""
    return ibis.window(group_by=list(LOAD), order_by=["started_at", "_row"])
