"""Behaviours of DuckDB's CSV reader that resources/landing.py is built around. If one of these fails after an upgrade, read its docstring."""
from __future__ import annotations

import duckdb
import pytest

STRICT = "auto_detect=false, header=true, strict_mode=true, delim=',', quote='\"', escape='\"', columns={'a': 'VARCHAR', 'b': 'VARCHAR'}"


def rows(tmp_path, text: str, options: str = "") -> list[tuple]:
    (tmp_path / "t.csv").write_bytes(text.encode())
    return duckdb.connect().execute(f"SELECT * FROM read_csv('{tmp_path}/t.csv', {STRICT} {options})").fetchall()


@pytest.mark.parametrize("declared", ["\\n", "\\r\\n"])
def test_a_declared_line_end_makes_duckdb_lose_every_row_of_a_crlf_file_in_silence(tmp_path, declared):
    text = "a,b\r\n1,x\r\n2,y\r\n"
    assert len(rows(tmp_path, text)) == 2
    assert rows(tmp_path, text, f", new_line='{declared}'") == []


def test_store_rejects_joins_lines_behind_an_open_quote(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n1,x\n2,"y\n3,z\n4,z\n5,z\n')
    session = duckdb.connect()
    kept = session.execute(f"SELECT * FROM read_csv('{tmp_path}/t.csv', {STRICT}, store_rejects=true)").fetchall()
    rejects = session.execute("SELECT csv_line FROM reject_errors").fetchall()
    assert (len(kept), len(rejects)) == (1, 1)  # five rows, one kept, one reject: three are inside it


def test_a_quote_inside_an_unquoted_field_passes_strict_mode(tmp_path):
    assert rows(tmp_path, 'a,b\n1,x"y\n') == [("1", 'x"y')]


def test_csv_files_have_no_row_number_of_their_own(tmp_path):
    with pytest.raises(duckdb.BinderException, match="file_row_number"):
        rows(tmp_path, "a,b\n", ", file_row_number=true")
