"""No row ends a replay: it is an event, or it is rejected for a reason."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamer.events.decoding import TOPICS
from streamer.events.forms import FORMS
from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing
from streamer.events.rules import HOUR, Rules
from streamer.replay.contract import Contract
from streamer.replay.facts import TIMES, Fact, Skipped, ready, shifted
from streamer.replay.mapfile import parsed
from streamer.replay.mapping import Map
from tests.replay.replays import MAPS

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
NAMES = sorted({name for form in FORMS.values() for name in form.__struct_fields__} | {"topic", "key"})
ROWS = st.dictionaries(st.sampled_from(NAMES), CELLS, max_size=8)


def taken(said: Any) -> Outgoing | Rejected | Skipped:
    if not isinstance(said, Fact):
        assert isinstance(said, Rejected | Skipped)
        return said
    for fact in (said, shifted(said, HOUR)):
        found = ready(fact, Rules(), 1_777_896_000_000)
        assert isinstance(found, Outgoing | Rejected)
    return found


@example({"answered_at": "9999-12-31T23:59:59-14:00"}, "survey-completed")
@example({"ended_at": 1e308}, "call-completed")
@PATIENT
@given(ROWS, st.sampled_from([None, *TOPICS]))
def test_any_object_is_a_fact_or_rejected(row: dict[str, Any], topic: str | None) -> None:
    taken(Contract(topic).read(json.dumps(row).encode()))


@PATIENT
@given(ROWS, st.sampled_from(TOPICS))
def test_any_cloud_event_is_a_fact_or_rejected(row: dict[str, Any], topic: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": topic, "data": row}
    taken(Contract().read(json.dumps(event).encode()))


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_are_a_fact_or_rejected(line: bytes) -> None:
    taken(Contract().read(line))


@pytest.mark.parametrize(
    "line", [b'{"contact_id":"\\ud800","outcome":1}', b'{"outcome":' + b"[" * 5000, b"\xff"]
)
def test_odd_bytes_are_rejected(line: bytes) -> None:
    assert isinstance(taken(Contract().read(line)), Rejected)


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.toml")), ids=lambda path: path.stem)
def test_any_cells_are_mapped_or_rejected(path: Any) -> None:
    mapped = Map(parsed(path.read_text(), path.name), path.name)
    names = ["vru+line", "call_id", "type", "q_time", "outcome", "ser_time", "ser_exit", "q_exit", "vru_exit"]

    @PATIENT
    @given(
        st.dictionaries(
            st.sampled_from([*names, "server", "", "id", "nps", "satisfaction", "explication"]), CELLS
        )
    )
    def check(row: dict[str, Any]) -> None:
        taken(mapped.read(row))

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
    taken(Map(parsed(OWN, "own"), "own").read(row))


def test_all_times_of_the_contract_are_moved() -> None:
    names = {name for form in FORMS.values() for name in form.__struct_fields__}
    assert set(TIMES) == {name for name in names if name.endswith("_at")} | {"as_of"}
