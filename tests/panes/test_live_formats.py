"""The index of what is live and agents' time: packed, unpacked and merged."""

import random

import pytest

from streamer.events.counting_rules import HOUR
from streamer.panes.agent_time import AgentInterval, AgentProfile, TimeRows, cut_at_hours, merge_time
from streamer.panes.live_index import (
    LiveAgent,
    LiveContact,
    add_agents,
    add_contacts,
    merge_live,
    pack_agents,
    pack_contacts,
    unpack_contacts,
)
from streamer.panes.pane_delta import DeltaFormatError


def caller(since: int = 9_000, channel: str = "voice") -> LiveContact:
    return LiveContact(
        "c1", "", "", 0, since, since, None, "billing", None, None, None, channel, None, None, False, 2
    )


def agent(heard_at: int = 9_000) -> LiveAgent:
    return LiveAgent(
        "anna", 0, None, 1_000, 2_000, heard_at, 60_000, ("billing",), "red", None, ("voice",), None
    )


def key(number: int) -> bytes:
    return b"e%012d" % number


def test_an_entry_comes_back_as_it_was() -> None:
    assert add_contacts([pack_contacts({key(1): caller()})]) == {key(1): caller()}
    assert add_agents([pack_agents({key(1): agent()})]) == {key(1): agent()}


def test_the_last_commit_decides_and_an_end_takes_out() -> None:
    deltas = [pack_contacts({key(1): caller(since)}) for since in (3, 1, 2)]
    assert add_contacts(deltas) == {key(1): caller(2)}
    assert add_contacts([pack_contacts({key(1): None})], {key(1): caller()}) == {}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_merging_the_oldest_changes_nothing_that_is_live(size: int) -> None:
    draw = random.Random(size)
    deltas = [
        pack_contacts(
            {key(draw.randrange(5)): draw.choice((None, caller(draw.randrange(100)))) for _ in range(3)}
        )
        for _ in range(10)
    ]
    merged = merge_live(deltas[:size])
    assert add_contacts([merged, *deltas[size:]]) == add_contacts(deltas)
    assert None not in unpack_contacts(merged).entries.values()


def test_what_is_too_old_is_merged_away_by_the_latest_limit() -> None:
    contacts = {
        key(1): caller(99),
        key(2): caller(100),
        key(3): caller(50, "email"),
        key(4): caller(49, "task"),
    }
    merged = merge_live([pack_contacts(contacts, (100, 50)), pack_contacts({}, (90, 40))])
    assert add_contacts([merged]).keys() == {key(2), key(3)}
    agents = merge_live([pack_agents({key(1): agent(99), key(2): agent(100)}, (100, 100))])
    assert add_agents([agents]).keys() == {key(2)}


def test_a_delta_of_another_format_is_refused() -> None:
    with pytest.raises(DeltaFormatError):
        add_contacts([pack_agents({})])
    with pytest.raises(DeltaFormatError):
        TimeRows.unpacked(b"\x02")


PROFILES = [AgentProfile("anna", "red", None, ("billing",), ("voice", "chat")), AgentProfile("ben")]


def intervals(seed: int, number: int = 200) -> list[tuple[AgentInterval, int]]:
    draw = random.Random(seed)
    found = []
    for _ in range(number):
        start = draw.randrange(5 * HOUR)
        end = start + draw.choice((0, 1, 60_000, 2 * HOUR))
        reason = draw.choice(("lunch", None))
        found.append((AgentInterval(draw.choice(PROFILES), draw.randrange(8), reason, start, end), 1))
    return found


def test_rows_come_back_as_they_were() -> None:
    for hour, pieces in cut_at_hours(intervals(1)).items():
        rows = TimeRows.from_intervals(hour, pieces)
        assert TimeRows.unpacked(rows.packed()).amounts() == rows.amounts()
        assert rows.start_ms.min() >= 0
        assert (rows.start_ms + rows.length_ms).max() <= HOUR
        assert rows.start_ms.max() < HOUR


def test_cutting_loses_no_millisecond() -> None:
    whole = intervals(2)
    pieces = [piece for parts in cut_at_hours(whole).values() for piece, _ in parts]
    assert sum(piece.end_ms - piece.start_ms for piece in pieces) == sum(
        interval.end_ms - interval.start_ms for interval, _ in whole
    )


def test_what_was_added_and_taken_away_is_merged_away() -> None:
    kept, gone = intervals(3), intervals(4)
    taken = [(interval, -1) for interval, _ in gone]
    for hour, pieces in cut_at_hours(kept).items():
        parts = [pieces, cut_at_hours(gone)[hour], cut_at_hours(taken)[hour]]
        packed = [TimeRows.from_intervals(hour, part).packed() for part in parts]
        merged = TimeRows.unpacked(merge_time(packed))
        assert merged.amounts() == TimeRows.from_intervals(hour, pieces).amounts()
        assert len(merged.weight) == len(merged.amounts())
