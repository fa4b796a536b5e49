"""Files of every type give the same events, and unreadable rows are reported by line."""

import gzip
import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamer.replay.file_rows import FileFormat, FileRow, open_rows
from streamer.replay.input_files import FileType, InputFile
from streamer.replay.usage_error import ReplayUsageError
from tests.replay.replay_command import call, dry_run, ndjson, replay

CALLS = [call(number, wait_s=number / 2) for number in range(1, 6)]


def csv_of(delimiter: str = ",") -> bytes:
    lines = [delimiter.join(CALLS[0]), *(delimiter.join(map(str, one.values())) for one in CALLS)]
    return "\r\n".join(lines).encode()


def parquet_of() -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(CALLS), written, row_group_size=2)
    return written.getvalue()


def ndjson_of() -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in CALLS)


FORMS = {
    "calls.ndjson": ndjson_of(),
    "calls.jsonl": b"\xef\xbb\xbf" + ndjson_of() + b"\n\n",
    "joined.json": ndjson_of().replace(b"\n", b""),
    "partly.json": ndjson_of().replace(b"\n", b"", 2),
    "calls.json": json.dumps(CALLS, indent=2).encode(),
    "calls.csv": csv_of(),
    "bom.csv": b"\xef\xbb\xbf" + csv_of(),
    "calls.tsv": csv_of("\t"),
    "calls.parquet": parquet_of(),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_any_form_gzip_or_not_says_the_same(name: str, tmp_path: Path) -> None:
    plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
    plain.write_bytes(FORMS[name])
    packed.write_bytes(gzip.compress(FORMS[name]))
    for path in (plain, packed):
        done = dry_run(path)
        assert (done.code, done.data) == (0, CALLS)


@pytest.mark.parametrize(("form", "name"), [("ndjson", "calls.ndjson"), ("csv", "calls.csv")])
def test_standard_input_says_the_same(form: FileType, name: str) -> None:
    assert dry_run("--as", form, "-", stdin=FORMS[name]).data == CALLS
    assert dry_run("--as", form, "-", stdin=gzip.compress(FORMS[name])).data == CALLS


def test_parquet_from_standard_input_is_read_whole() -> None:
    assert dry_run("--as", "parquet", "-", stdin=FORMS["calls.parquet"]).data == CALLS


def test_parquet_is_known_without_a_name_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(FORMS["calls.parquet"])
    assert dry_run(path).data == CALLS


def test_parquet_without_pyarrow_ends_with_a_line_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.parquet"
    path.write_bytes(FORMS[path.name])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = (
        "streamer replay: calls.parquet: reading Parquet needs pyarrow: "
        "pip install 'contact-center-streamer[parquet]'\n"
    )
    for arguments in (["--dry-run", path], ["--guess", path]):
        result = replay(*arguments)
        assert (result.code, result.lines, result.stderr) == (2, [], line)


def test_a_name_that_does_not_say_the_form_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_bytes(FORMS["calls.ndjson"])
    done = dry_run(path)
    assert done.code == 2
    assert "add --as" in done.stderr
    assert dry_run("--as", "ndjson", path).data == CALLS


def read_rows(content: bytes, shape: FileFormat, path: Path) -> list[FileRow]:
    path.write_bytes(content)
    with open_rows(InputFile(str(path)), shape) as found:
        return list(found.rows)


def test_a_row_bears_the_line_where_it_begins(tmp_path: Path) -> None:
    content = b'a,b\n1,"two\nlines"\n\n3,4\n'
    found = read_rows(content, FileFormat("csv"), tmp_path / "file.csv")
    assert found == [FileRow(2, {"a": "1", "b": "two\nlines"}), FileRow(5, {"a": "3", "b": "4"})]
    found = read_rows(b"one\n\n  \nfour\n", FileFormat("lines"), tmp_path / "queue_log")
    assert found == [FileRow(1, b"one\n"), FileRow(4, b"four\n")]


def test_a_line_with_too_few_or_too_many_cells_is_rejected_alone(tmp_path: Path) -> None:
    content = "\n".join(
        ["contact_id,queue,ended_at,outcome", "1,q", "2,q,2026-05-04T12:00:00Z,answered", "a,b,c,d,e"]
    )
    path = tmp_path / "calls.csv"
    path.write_text(content)
    done = dry_run(path)
    assert (done.code, [one["contact_id"] for one in done.data]) == (3, ["2"])
    assert "line 2: not-csv: the line has 2 cells, expected 4" in done.stderr
    assert "line 4: not-csv: the line has 5 cells, expected 4" in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"a,a\n1,2\n", "two columns are named 'a'"),
        (b"a,b\n1,\xe9\n", "not utf-8"),
    ],
)
def test_a_table_that_cannot_be_read_ends_the_command(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(content)
    with (
        pytest.raises(ReplayUsageError, match=told),
        open_rows(InputFile(str(path)), FileFormat("csv")) as found,
    ):
        list(found.rows)


def test_gzip_that_ends_early_ends_the_command(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join([ndjson_of()] * 500))[:-20])
    done = dry_run(path)
    assert done.code == 2
    assert "its gzip data is broken" in done.stderr


def test_what_is_no_json_is_told_by_its_line(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "calls.ndjson", [call(1), '{"contact_id": ', "[1]", call(2)])
    done = dry_run(path)
    assert (done.code, [one["contact_id"] for one in done.data]) == (3, ["c1", "c2"])
    assert "line 2: not-json" in done.stderr
    assert "line 3: wrong-type: the line is not a JSON object" in done.stderr


def test_joined_objects_are_whole_wherever_the_block_that_is_read_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = FORMS["joined.json"] * 3
    for size in range(250, 500, 3):
        monkeypatch.setattr("streamer.replay.file_rows._LONGEST_LINE", size)
        found = read_rows(content, FileFormat("ndjson"), tmp_path / "calls.json")
        assert [json.loads(row.content) for row in found if isinstance(row.content, bytes)] == CALLS * 3


def test_times_of_parquet_are_told_with_milliseconds(tmp_path: Path) -> None:
    moment = pa.scalar(1_777_896_000_123_456_789, pa.timestamp("ns", "UTC"))
    table = pa.table({"contact_id": ["a"], "queue": ["q"], "outcome": ["answered"], "ended_at": [moment]})
    pq.write_table(table, tmp_path / "calls.parquet")
    (data,) = dry_run(tmp_path / "calls.parquet").data
    assert data["ended_at"] == "2026-05-04T12:00:00.123Z"
