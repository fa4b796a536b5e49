"""No row ends a replay: it is an event, or it is rejected for a reason."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import HOUR, CountingRules
from streamer.events.decoding import TOPICS
from streamer.events.kinds import KINDS
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord
from streamer.replay.contract_reader import ContractReader
from streamer.replay.map_file import parse_map_file
from streamer.replay.row_results import TIME_FIELDS, SkippedRow, SourcedEvent, prepare_record, shift_times
from streamer.replay.table_map import TableMap
from tests.replay.replay_command import MAPS

PATIENT = settings(deadline=None)
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["2026-05-04T12:00:00Z", "9999-12-31T23:59:59-14:00", "0:00:01", "NA", "call-completed", "1.0"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
NAMES = sorted({name for kind in KINDS.values() for name in kind.body.__struct_fields__} | {"topic", "key"})
ROWS = st.dictionaries(st.sampled_from(NAMES), CELLS, max_size=8)


def prepare_result(result: Any) -> OutgoingRecord | RejectedEvent | SkippedRow:
    if not isinstance(result, SourcedEvent):
        assert isinstance(result, RejectedEvent | SkippedRow)
        return result
    for fact in (result, shift_times(result, HOUR)):
        record = prepare_record(fact, CountingRules(), 1_777_896_000_000)
        assert isinstance(record, OutgoingRecord | RejectedEvent)
    return record


@example({"answered_at": "9999-12-31T23:59:59-14:00"}, "survey-completed")
@example({"ended_at": 1e308}, "call-completed")
@PATIENT
@given(ROWS, st.sampled_from([None, *TOPICS]))
def test_any_object_is_a_fact_or_rejected(row: dict[str, Any], topic: str | None) -> None:
    prepare_result(ContractReader(topic).read(json.dumps(row).encode()))


@PATIENT
@given(ROWS, st.sampled_from(TOPICS))
def test_any_cloud_event_is_a_fact_or_rejected(row: dict[str, Any], topic: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": topic, "data": row}
    prepare_result(ContractReader().read(json.dumps(event).encode()))


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_are_a_fact_or_rejected(line: bytes) -> None:
    prepare_result(ContractReader().read(line))


@pytest.mark.parametrize(
    "line", [b'{"contact_id":"\\ud800","outcome":1}', b'{"outcome":' + b"[" * 5000, b"\xff"]
)
def test_odd_bytes_are_rejected(line: bytes) -> None:
    assert isinstance(prepare_result(ContractReader().read(line)), RejectedEvent)


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.toml")), ids=lambda path: path.stem)
def test_any_cells_are_mapped_or_rejected(path: Any) -> None:
    mapped = TableMap(parse_map_file(path.read_text(), path.name), path.name)
    names = ["vru+line", "call_id", "type", "q_time", "outcome", "ser_time", "ser_exit", "q_exit", "vru_exit"]

    @PATIENT
    @given(
        st.dictionaries(
            st.sampled_from([*names, "server", "", "id", "nps", "satisfaction", "explication"]), CELLS
        )
    )
    def check(row: dict[str, Any]) -> None:
        prepare_result(mapped.read(row))

    check()


OWN = """
topic = "call-completed"
decimal = ","
[columns]
contact_id = "{a}-{b}"
queue = "q"
ended_at = ["e", "f"]
outcome = "o"
wait_s = "w"
talk_s = "t"
resolved = "r"
customer_value = "v"
version = "n"
[times]
formats = ["%d/%m/%Y %H:%M", "epoch", "epoch_ms", "rfc3339", "%H:%M"]
zone = "Europe/Madrid"
date = 2026-05-04
[units]
wait_s = "h:mm:ss"
talk_s = "min"
[[rows]]
when = { w = "> 3" }
set = { outcome = "abandoned" }
"""
TYPED = st.one_of(
    CELLS,
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.binary(max_size=3),
)


@example({"a": "1", "b": "1", "q": "q", "o": "answered", "e": -62135596800001})
@example({"a": Decimal("sNaN"), "q": Decimal("Infinity")})
@example({"a": 1, "b": 1, "q": "q", "o": "answered", "e": datetime(9999, 12, 31, 23)})  # noqa: DTZ001
@PATIENT
@given(st.dictionaries(st.sampled_from("abqefowtrvn"), TYPED))
def test_any_typed_cells_are_mapped_or_rejected(row: dict[str, Any]) -> None:
    prepare_result(TableMap(parse_map_file(OWN, "own"), "own").read(row))


def test_all_times_of_the_contract_are_moved() -> None:
    names = {name for kind in KINDS.values() for name in kind.body.__struct_fields__}
    assert set(TIME_FIELDS) == {name for name in names if name.endswith("_at")} | {"as_of", "at"}
