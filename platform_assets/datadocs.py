"""Data Docs: a static site of every table's rules and their newest results, per customer.

What belongs here: turning kept validations (validations.py) into pages by Great Expectations' own renderers. What does not: evaluating rules.
Great Expectations' stock page loads thirteen scripts and styles and a picture from other people's servers; its sections stand here in pages
of our own, which load nothing, run no script and can be read without a network. A customer's folder stands for itself and can be handed on.
"""
from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer
from great_expectations.render.view import DefaultJinjaPageView
from psycopg.rows import dict_row

from partitions.customers import Customer
from platform_assets.contracts import contract
from platform_assets.tables import LAYERS
from resources.postgres import WRITER, Postgres
from resources.settings import PROJECT

TEMPLATES = Path(__file__).parent / "templates"
HISTORY = 10
WHOLE_TABLE = "the whole table"
VALIDATIONS = """SELECT * FROM (
        SELECT table_name, version, v.result, v.created_at, t.verdict, t.row_count, t.quarantined_count, t.rows_in,
               row_number() OVER (PARTITION BY table_name ORDER BY version DESC) AS rank
        FROM platform.validation v JOIN platform.table_version t USING (customer_id, table_name, version) WHERE customer_id = %s) ranked
    WHERE rank <= %s ORDER BY table_name, version DESC"""


@dataclass(frozen=True)
class Built:
    """What a customer's part of the site holds."""

    id: str
    steward: str
    tables: int
    rules: int
    broken: int
    quarantined: int


def build(postgres: Postgres, customers: Mapping[str, Customer], out: Path) -> list[Built]:
    """Write the site of these customers into a folder: `index.html` and `<customer>/<table>.html`; pages of an earlier site go."""
    pages = Pages(out)
    built = []
    for name, found in customers.items():
        with postgres.connect(WRITER, customer=name) as connection:
            built.append(_customer(pages, connection, found))
    pages.write("index.html", "customers.html", title="Data Docs", customers=built)
    return built


class Pages:
    """A folder of pages, each rendered from one of our templates in Great Expectations' own environment."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.environment = DefaultJinjaPageView(custom_views_directory=str(TEMPLATES)).env
        self.made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"

    def write(self, path: str, template: str, **said: Any) -> None:
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.environment.get_template(template).render(made_at=self.made_at, **said), encoding="utf-8")


def _customer(pages: Pages, connection: psycopg.Connection, customer: Customer) -> Built:
    """One customer's pages."""
    for old in (pages.out / customer.id).glob("*.html"):
        old.unlink()
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = [_counted(row) for row in cursor.execute(VALIDATIONS, [customer.id, HISTORY]).fetchall()]
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tables.setdefault(row["table_name"], []).append(row)
    newest = [history[0] for history in tables.values()]
    for history in tables.values():
        pages.write(f"{customer.id}/{history[0]['table_name']}.html", "table.html", title=f"{customer.id}: {history[0]['table_name']}", t=history[0],
                    history=history, sections=sections(history[0]["result"]), purpose=_purpose(history[0]["table_name"]),
                    back=("index.html", f"all tables of {customer.id}"))
    by_layer = [(layer, [row for row in newest if _layer(row["table_name"]) == layer]) for layer in LAYERS]
    pages.write(f"{customer.id}/index.html", "customer.html", title=f"{customer.id}: {customer.name}", id=customer.id, steward=customer.steward.email,
                tables=[(layer, found) for layer, found in by_layer if found], back=None)
    return Built(customer.id, customer.steward.email, len(newest), *(sum(row[name] for row in newest) for name in ("rules", "broken", "quarantined_count")))


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    counts = row["result"]["statistics"]
    return {**row, "rules": counts["evaluated_expectations"], "broken": counts["unsuccessful_expectations"],
            "checked_at": f"{row['created_at'].astimezone(UTC):%Y-%m-%d %H:%M}"}


def sections(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A kept validation as Great Expectations renders it: a section per column, those with a broken rule first."""
    columns: dict[str, list[Mapping[str, Any]]] = {}
    for one in document["results"]:
        columns.setdefault(one["expectation_config"]["kwargs"].get("column") or WHOLE_TABLE, []).append(one)
    ordered = sorted(columns.items(), key=lambda item: (all(one["success"] for one in item[1]), item[0] != WHOLE_TABLE, item[0]))
    return [_section(column, results) for column, results in ordered]


def _section(column: str, results: list[Mapping[str, Any]]) -> dict[str, Any]:
    """One column's rules as a table: Great Expectations' words and result, below the rule's own name and description."""
    block: dict[str, Any] = {}
    rows = []
    for one in sorted(results, key=lambda one: one["success"]):
        if one["expectation_config"]["meta"]["engine"] == "strata":
            rows.append(_own_row(one))
            continue
        block = cast(dict[str, Any], ValidationResultsTableContentBlockRenderer.render([_result(one)]).to_json_dict())
        for status, words, *observed in block["table"]:
            rows.append([status, [_own_words(one["expectation_config"]["meta"]), *(words if isinstance(words, list) else [words])], *observed])
    header = {"content_block_type": "header", "header": {"content_block_type": "string_template", "string_template": {
        "template": "$column", "params": {"column": column}, "tag": "h5"}}}
    table = {"content_block_type": "table", **block, "header_row": ["Result", "Rule", "Found"], "table": rows}
    return {"section_name": column, "content_blocks": [header, table]}


def _own_row(one: Mapping[str, Any]) -> list[Any]:
    """A rule of a kind of our own (measures.py), which Great Expectations has no words for."""
    said, result = one["expectation_config"], _escaped(one["result"])
    arguments = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said["kwargs"].items())
    icon = ["fas", "fa-check-circle", "text-success"] if one["success"] else ["fas", "fa-times", "text-danger"]
    status = {"content_block_type": "string_template", "string_template": {"template": "$icon", "params": {"icon": ""}, "styling": {"params": {
        "icon": {"classes": icon, "tag": "i"}}}}}
    found = result.get("unexpected_count", result.get("observed_value"))
    error = html.escape(one["exception_info"]["exception_message"] or "")
    return [status, [_own_words(said["meta"]), html.escape(f"{said['type']}: {arguments}"), *([error] if error else [])], "--" if found is None else str(found)]


def _own_words(meta: Mapping[str, Any]) -> dict[str, Any]:
    words = f"{meta['rule']} ({meta['severity']})" + (f": {meta['description']}" if meta["description"] else "")
    return {"content_block_type": "string_template", "string_template": {
        "template": "$words", "params": {"words": words}, "styling": {"params": {"words": {"classes": ["rule"]}}}}}


def _result(one: Mapping[str, Any]) -> ExpectationValidationResult:
    """A kept result as Great Expectations' own object. Values are data of customers: they enter a page escaped."""
    said = one["expectation_config"]
    configuration = ExpectationConfiguration(type=said["type"], kwargs=dict(said["kwargs"]), meta={})
    info = {**one["exception_info"], "exception_message": html.escape(one["exception_info"]["exception_message"] or ""), "exception_traceback": ""}
    return ExpectationValidationResult(success=one["success"], expectation_config=configuration, result=_escaped(one["result"]), exception_info=info)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return {name: _escaped(item) for name, item in value.items()} if isinstance(value, dict) else value


def _layer(table: str) -> str:
    return table.partition(".")[0].rpartition("_")[2]


def _purpose(table: str) -> str | None:
    """What the table's contract says it is for; None where the contract is gone."""
    schema, _, name = table.partition(".")
    path = PROJECT / "platform_assets" / schema.rpartition("_")[0] / _layer(table) / f"{name}.odcs.yaml"
    description = contract(path).odcs.description if path.exists() else None
    return description.purpose if description else None
