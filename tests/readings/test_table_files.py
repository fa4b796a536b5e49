"""Tables as files: what a cell becomes in CSV and in a workbook, and which columns an item has."""

import csv
import io
from typing import Any

import msgspec
import pytest
from openpyxl import load_workbook

from streamer.readings.csv_table import csv_lines
from streamer.readings.table_columns import Cell, TableColumns
from streamer.readings.xlsx_table import XlsxTable

CELLS: list[tuple[str, Cell, str]] = [
    ("a text is itself", "billing", "billing"),
    ("a name in any script", "账单 · Facturación", "账单 · Facturación"),
    ("a comma, as in the key of a pair, is quoted", r"billing\, Spain,voice", r'"billing\, Spain,voice"'),
    ("a quote is doubled", 'he said "no"', '"he said ""no"""'),
    ("a line break stays, in quotes", "first\nsecond", '"first\nsecond"'),
    ("no data is empty", None, ""),
    ("a negative number is no formula", -12.5, "-12.5"),
    ("a number keeps all its digits", 0.1 + 0.2, "0.30000000000000004"),
    ("yes is a word", True, "true"),
    ("no is a word", False, "false"),
    ("a formula", "=1+1", "'=1+1"),
    ("a call of a program", "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("a plus, as in a number to call", "+34600000000", "'+34600000000"),
    ("a minus that is text", "-2+3", "'-2+3"),
    ("an at sign", "@SUM(A1)", "'@SUM(A1)"),
    ("a tab before a formula", "\t=1+1", "'\t'=1+1"),
    ("a return before a formula", "\r=1+1", "\"'\r'=1+1\""),
    ("an equals sign of full width", "＝1+1", "'＝1+1"),
    ("a formula behind a semicolon, which parts cells in Spain", "a;=1+1", "a;'=1+1"),
    ("a formula on a line of its own", "a\n=1+1", "\"a\n'=1+1\""),
    ("a sign within a text is harmless", "a=b, c-d, e@f", '"a=b, c-d, e@f"'),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "cell", "written"), CELLS)
def test_a_cell_of_csv(sentence: str, cell: Cell, written: str) -> None:
    line = csv_lines([["before", cell, 1]]).decode()
    assert line == f"before,{written},1\r\n", sentence
    ((_, read, _),) = csv.reader(io.StringIO(line, newline=""))
    if isinstance(cell, str):
        assert read.replace("'", "") == cell.replace("'", "")


def sheet(names: list[str], rows: list[list[Cell]]) -> Any:
    file = io.BytesIO()
    with XlsxTable(file, names) as workbook:
        for row in rows:
            workbook.add(row)
    return load_workbook(file).active


@pytest.mark.parametrize(("sentence", "cell", "written"), CELLS)
def test_a_cell_of_a_workbook(sentence: str, cell: Cell, written: str) -> None:
    found = sheet(["name"], [[cell]])["A2"]
    expected_type = {str: ("inlineStr", "s"), bool: ("b",), float: ("n",), type(None): ("n",)}[type(cell)]
    assert found.data_type in expected_type, sentence  # above all no formula: "f"
    if isinstance(cell, float):
        assert found.value == pytest.approx(cell, rel=1e-15)
    else:
        assert found.value == (cell.replace("\r", "_x000D_") if isinstance(cell, str) else cell)


def test_a_table_of_nothing_is_its_header() -> None:
    assert csv_lines([["key", "name"]]) == b"key,name\r\n"
    assert [[cell.value for cell in row] for row in sheet(["key", "name"], [])] == [["key", "name"]]


class Inner(msgspec.Struct, rename={"from_": "from"}):
    from_: int
    names: tuple[str, ...]


class Outer(msgspec.Struct):
    id: str
    inner: Inner | None
    answers: dict[str, int]
    links: dict[str, str]


@pytest.mark.parametrize(
    ("sentence", "item", "row"),
    [
        ("a struct in a struct has columns of its own; a list is JSON",
         Outer("a", Inner(5, ("x", "y")), {"nps": 9}, {"why": "/"}),
         ["a", 5, '["x","y"]', 9, None, '{"why":"/"}']),
        ("what is missing leaves its columns empty",
         Outer("b", None, {}, {}), ["b", None, None, None, None, "{}"]),
    ],
)  # fmt: skip
def test_the_columns_of_an_item(sentence: str, item: Outer, row: list[Cell]) -> None:
    columns = TableColumns.of(Outer, {"answers": ("nps", "csat")})
    assert columns.names == ["id", "inner.from", "inner.names", "answers.nps", "answers.csat", "links"]
    assert [*columns.rows([item])] == [row], sentence
