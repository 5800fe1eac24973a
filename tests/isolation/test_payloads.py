"""Attack cases 34, 35, 40 to 43 and 53 to 56: what delivered files, parameters, YAML, SQL of tables and dependencies could carry."""
from __future__ import annotations

import ast
import csv
import io
import pickle
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis.expr.operations as ops
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from openpyxl import Workbook
from sqlglot import exp

from partitions.errors import DeliveryError, ParameterError, PublicationError
from platform_assets import greenit
from platform_assets.compilation import express_all
from platform_assets.composition import tables_of
from platform_assets.landing import source_contract
from platform_assets.parameters import limits_of, rules_of
from platform_assets.publication import publish
from platform_assets.tables import reference_contracts
from resources.expressions import leaf_names, sql_of
from resources.parameter_files import read_reference
from resources.postgres import WRITER, lake_role
from resources.settings import PROJECT
from tests.installation import Installation, inventory
from tests.lake import session_for

NAMES = ("load_own", "load_foreign")
PAYLOADS = ["'; ATTACH '/etc/passwd' AS x; --", "SELECT * FROM read_text('/etc/passwd')", "INSTALL httpfs; LOAD httpfs", "COPY (SELECT 1) TO '/tmp/evil'", "{{7*7}}", "{x.__class__.__mro__}",
            "${jndi:ldap://127.0.0.1/x}", "%(secret)s", "f'{1+1}'", "=HYPERLINK(\"http://127.0.0.1\")"]
SOURCES = {path.name.removesuffix(".odcs.yaml"): source_contract(path.name.removesuffix(".odcs.yaml")) for path in sorted((PROJECT / "platform_assets").glob("*/bronze/*.odcs.yaml"))}
OWNED = [(name, kind) for name, source in SOURCES.items() if source.owner_column for kind in source.formats]
FOREIGN_OWNERS = {"another customer's": "CANARY-load_foreign-account", "the same in capitals": "ACCOUNT-LOAD_OWN", "with a blank": "account-load_own ", "a homoglyph": "аccount-load_own",
                  "a star": "*", "a list": "account-load_own,CANARY-load_foreign-account", "zero width": "account-load_own\u200b"}
OURS = [path for folder in ("cli", "partitions", "resources", "platform_assets") for path in sorted((PROJECT / folder).rglob("*.py"))]


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Installation:
    for name in NAMES:
        installation.declare(name)
    return installation


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in OURS:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


# what parameters carry


@pytest.mark.parametrize("made", reference_contracts(), ids=lambda made: f"{made.layer}-{made.table}")
def test_cases_34_35_sql_and_templates_in_a_parameter_file_are_refused_or_stay_text(made: Any, tmp_path: Path) -> None:
    """In every text column of every parameter and vocabulary, one column at a time."""
    with made.path.with_name(f"{made.table}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        pytest.skip("shipped with a header only: nothing to spoil")
    for number, column in enumerate([c for c in made.columns if c.type == "varchar"]):
        payload = PAYLOADS[number % len(PAYLOADS)]
        copy = tmp_path / f"{made.table}.csv"
        with copy.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows([{**rows[0], column.name: payload}, *rows[1:]])
        try:
            outcome = read_reference(copy, made.spec, limits_of(made), rules_of(made)).column(column.name)[0].as_py()
        except ParameterError as error:
            outcome = error.place.get("file")
        assert outcome in (payload, copy.name)


# whose rows a file holds


def delivery(path: Path, source: Any, kind: str, *owners: str) -> Path:
    """A file of a format with a row for each owner and nothing else in it."""
    format = source.formats[kind]
    targets = {target: name for name, target in format.columns.items()}
    names = [*format.columns, *(column for column in source.columns if column not in targets and column not in format.constants)]
    owner_header = targets.get(source.owner_column, source.owner_column)
    rows = [{name: (owner if name == owner_header else "") for name in names} for owner in owners]
    if format.type == "parquet":
        pq.write_table(pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names}), path)
        return path
    assert format.type == "csv", "give this test a writer for the new type"
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, delimiter=format.delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "kind"), OWNED, ids=[f"{name}-{kind}" for name, kind in OWNED])
def test_cases_40_41_a_file_with_one_row_of_another_owner_is_refused_whole_in_every_format(prepared: Installation, tmp_path: Path, name: str, kind: str) -> None:
    source = SOURCES[name]
    prepared.declare("load_own", sources={name: {"format": kind, "accepted_owners": ["account-load_own"]}})
    suffix = source.formats[kind].type
    for number, foreign in enumerate(FOREIGN_OWNERS.values()):
        file = delivery(tmp_path / f"{number}.{suffix}", source, kind, "account-load_own", foreign)
        with pytest.raises(DeliveryError) as refused:
            prepared.land("load_own", name, [file], "2024-09")
        assert refused.value.place.get("rule") == "TENANT", (foreign, str(refused.value))
        assert "CANARY" not in str(refused.value)
    assert prepared.query("SELECT 1 FROM platform.delivery", customer="load_own", role=WRITER) == []
    told = prepared.query("SELECT rule, problem, fix FROM platform.refusal", customer="load_own", role=WRITER)
    assert "TENANT" in {row["rule"] for row in told}
    assert "CANARY" not in str(told)


def test_case_40_a_file_put_into_the_landing_folder_without_a_delivery_is_read_by_nobody(prepared: Installation, tmp_path: Path) -> None:
    prepared.declare("load_own")
    folder = prepared.settings.landing_root / "load_own" / "equipment_inventory" / "2024-09"
    folder.mkdir(parents=True)
    inventory(folder / "1-000000000000-i.csv", {"equipment_id": "CANARY-load_foreign-1"})
    prepared.land("load_own", "equipment_inventory", [inventory(tmp_path / "own.csv", {"equipment_id": "CANARY-load_own-1"})])
    session = session_for(prepared, "load_own")
    try:
        spec = next(made.spec for _, made in tables_of(greenit) if made.table == "equipment_inventory")
        session.load_landing(spec)
        told = session.con.execute("SELECT equipment_id FROM landing_equipment_inventory").fetchall()
    finally:
        session.close()
    assert told == [("CANARY-load_own-1",)]


# the SQL of tables


def test_case_42_no_tables_sql_names_a_customer_a_schema_or_a_table_that_is_not_its_input() -> None:
    """The names in it are views of one customer's version, made by the IO manager; so no SQL can leave a predicate out."""
    inputs = {made.table: {name if name != "landing" else f"landing_{made.table}" for name in asset.keys_by_input_name} for asset, made in tables_of(greenit)}
    expressed = express_all(greenit)
    assert set(expressed) == set(inputs)
    for name, (spec, made) in expressed.items():
        nodes = made.op().find(ops.Node)
        assert leaf_names(made) <= inputs[name], name
        assert [node for node in nodes if isinstance(node, (ops.SQLQueryResult, ops.SQLStringView, ops.DatabaseTable))] == [], name
        assert [node for node in nodes if isinstance(node, ops.UnboundTable) and (node.namespace.catalog or node.namespace.database)] == [], name
        assert [node for node in nodes if isinstance(node, ops.Field) and node.name.lower() == "customer_id"] == [], name
        if spec.layer == "platinum":  # the others' SQL takes 6 CPU seconds to compile, and comes of such nodes alone
            assert strays(sql_of(made, "postgres"), "postgres", inputs[name]) == [], name


def strays(text: str, dialect: str, inputs: set[str]) -> list[str]:
    """What a statement reads besides its inputs, and statements beside the first."""
    statements = sqlglot.parse(text, read=dialect)
    found = [statement.sql() for statement in statements[1:]] + [] if isinstance(statements[0], exp.Query) else [statements[0].sql()]
    own = {cte.alias for cte in statements[0].find_all(exp.CTE)}
    for table in statements[0].find_all(exp.Table):
        if table.db or table.catalog or isinstance(table.this, exp.Func) or (table.name not in inputs and table.name not in own):
            found.append(table.sql())
    return found + [column.sql() for column in statements[0].find_all(exp.Column) if column.name.lower() == "customer_id"]


@pytest.mark.parametrize("text", [
    "SELECT * FROM given JOIN warehouse.platform.delivery USING (a)", "SELECT * FROM greenit_gold.impact", "SELECT * FROM other", "SELECT customer_id FROM given",
    "SELECT * FROM read_parquet('/x')", "SELECT 1; DELETE FROM given", "SELECT * FROM given WHERE a IN (SELECT a FROM other)", "DELETE FROM given",
])  # fmt: skip
def test_case_42_the_rule_sees_what_it_is_for(text: str) -> None:
    assert strays(text, "duckdb", {"given"})
    assert not strays("WITH t AS (SELECT a FROM given) SELECT * FROM t", "duckdb", {"given"})


def test_case_43_figures_of_another_customer_or_of_no_version_do_not_go_live(prepared: Installation) -> None:
    tables = sorted(made.spec.qualified for _, made in tables_of(greenit) if not made.spec.in_lake)
    session = session_for(prepared, "load_own")
    try:
        with pytest.raises(PublicationError, match="no version of this table has passed its checks"):
            publish(session, "greenit", tables)
    finally:
        session.close()
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        number = connection.execute("""INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version, inputs,
            row_count, quarantined_count, content_hash, verdict, fence) VALUES ('load_foreign', 'greenit_platinum.trend', 987654321, 'CANARY-load_foreign-run', '', '', '', '{}', 0, 0, '', 'passed', 1)
            RETURNING version""").fetchone()[0]
    with prepared.postgres.connect(lake_role("load_own")) as connection:
        point = "INSERT INTO platform.live_version (customer_id, table_name, version, publication_id) VALUES (%s, 'greenit_platinum.trend', %s, 1)"
        for customer, wrong in (("load_own", psycopg.errors.ForeignKeyViolation), ("load_foreign", psycopg.errors.InsufficientPrivilege)):
            with pytest.raises(wrong) as refused, connection.transaction():
                connection.execute(point, [customer, number])
            assert "CANARY" not in str(refused.value)


# payloads that would run


class Marker:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, source in SOURCES.items() for kind in source.formats], ids=lambda value: value)
def test_case_53_a_pickle_is_refused_in_every_format_and_never_unpickled(prepared: Installation, tmp_path: Path, name: str, kind: str) -> None:
    prepared.declare("load_own", sources={name: {"format": kind, "accepted_owners": ["account-load_own"]}})
    file, marker = tmp_path / "payload.csv", tmp_path / "ran"
    file.write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(DeliveryError):
        prepared.land("load_own", name, [file], "2024-09")
    assert not marker.exists()


def test_case_53_nothing_of_ours_can_unpickle() -> None:
    forbidden = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve", "jsonpickle"}
    found = [(path.name, name) for path, tree in trees() for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
             for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]) if name.split(".")[0] in forbidden]
    found += [(path.name, "eval or exec") for path, tree in trees() for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "compile", "__import__")]
    found += [(path.name, word) for path in OURS for word in ("allow_pickle", "read_pickle", "to_pickle", "jinja2", "from_string(") if word in path.read_text(encoding="utf-8")
              and (word, path.name) not in {("from_string(", "launching.py"),  # Dagster's asset selection, which is no template
                                            ("jinja2", "report.py")}]  # a template of the package, escaped; test_report.py gives it markup
    assert found == []


def test_case_54_yaml_is_read_by_safe_loaders_alone() -> None:
    """A customer file with a Python tag is refused in tests/partitions; here that no reader could take one."""
    calls = [(path.name, ast.unparse(node)) for path, tree in trees() for node in ast.walk(tree)
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "yaml"]
    assert [call for call in calls if re.search(r"\b(unsafe_load|full_load|UnsafeLoader|FullLoader)\b", call[1])] == []
    loads = [call for call in calls if re.match(r"yaml\.load(_all)?\(", call[1])]
    assert loads
    assert [call for call in loads if "SafeLoader" not in call[1] and "Loader=loader" not in call[1]] == []
    bases = [ast.unparse(base) for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases if "Loader" in ast.unparse(base)]
    assert bases == ["yaml.SafeLoader"]


BOMB = '<!DOCTYPE x [<!ENTITY a "CANARY"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY c SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("evil", [BOMB, OUTSIDE], ids=["billion laughs", "external entity"])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, source in SOURCES.items() for kind, format in source.formats.items() if format.type in ("xml", "xlsx")], ids=lambda value: value)
def test_case_55_a_document_type_is_refused_in_every_xml_and_workbook_format(prepared: Installation, tmp_path: Path, name: str, kind: str, evil: str) -> None:
    prepared.declare("load_own", sources={name: {"format": kind}})
    if SOURCES[name].formats[kind].type == "xml":
        file = tmp_path / "evil.xml"
        file.write_text(f'<?xml version="1.0"?>{evil}<x><y>&c;</y></x>')
    else:
        whole, file = tmp_path / "whole.xlsx", tmp_path / "evil.xlsx"
        book = Workbook()
        book.active.title = SOURCES[name].formats[kind].sheet
        book.active.append(["a"])
        book.save(whole)
        with zipfile.ZipFile(whole) as good, zipfile.ZipFile(file, "w") as bad:
            for part in good.namelist():
                declaration, text = re.fullmatch(rb"(<\?xml[^>]*>\s*)?(.*)", good.read(part), re.DOTALL).groups()
                bad.writestr(part, (declaration or b"") + evil.encode() + text)
    with pytest.raises(DeliveryError) as refused:
        prepared.land("load_own", name, [file], "2024-09")
    assert refused.value.place.get("rule") == "XML_DTD", str(refused.value)
    assert "root:" not in str(refused.value)


def test_case_56_every_dependency_is_pinned_and_hashed_and_the_lock_follows_the_project() -> None:
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    pinned = {}
    for entry in filter(str.strip, entries):
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", entry)
        assert found, entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
        pinned[re.sub(r"[-_.]+", "-", found[1]).lower()] = found[2]
    assert "://" not in lock
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*declared["dependencies"], *declared["optional-dependencies"]["dev"]]
    for requirement in wanted:
        name, _, version = requirement.partition("==")
        plain = re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!;]", name)[0]).lower()
        assert plain in pinned, requirement
        assert not version or pinned[plain] == version, requirement
    assert "--require-hashes" in (PROJECT / "Makefile").read_text(encoding="utf-8")
