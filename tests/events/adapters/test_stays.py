"""Tests: the visits of a call are separated correctly, whatever order their lines come in."""

from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Note
from streamer.events.adapters.stays import stays
from tests.events.adapters.assembling import applied, published

T = 1_700_000_000
ENDS = {
    "COMPLETEAGENT": ("answered", "SIP/1", "{wait}|{talk}|1"),
    "BLINDTRANSFER": ("answered", "SIP/1", "600|inside|{wait}|{talk}|1"),
    "ABANDON": ("abandoned", "NONE", "1|1|{wait}"),
    "EXITWITHTIMEOUT": ("timeout", "NONE", "1|1|{wait}"),
}


class Stayed(NamedTuple):
    """A visit that happened: the caller entered the queue `after` this many seconds."""

    queue: str
    after: int
    wait: int
    talk: int
    end: str


happened = st.lists(
    st.builds(
        Stayed,
        queue=st.sampled_from("AB"),
        after=st.integers(0, 2),
        wait=st.integers(1, 3),  # of 0, after no pause: in whole seconds nobody can tell one stay from two
        talk=st.integers(0, 3),
        end=st.sampled_from([*ENDS]),
    ),
    min_size=1,
    max_size=6,
)


def told(story: list[Stayed]) -> tuple[list[str], dict[str, tuple[str, int, int]]]:
    """Return the log's lines, and the expected outcome, entry and wait by segment."""
    lines, wanted, now = [], dict[str, tuple[str, int, int]](), T
    for one in story:
        entered = now + one.after
        outcome, agent, own = ENDS[one.end]
        now = entered + one.wait + (one.talk if outcome == "answered" else 0)
        lines.append(f"{entered}|call|{one.queue}|NONE|ENTERQUEUE||+34915550123|1")
        lines.append(f"{now}|call|{one.queue}|{agent}|{one.end}|{own.format(wait=one.wait, talk=one.talk)}")
        number = 1 + sum(name.startswith(f"call/{one.queue}/") for name in wanted)
        wanted[f"call/{one.queue}/{number}"] = (outcome, entered, one.wait)
    return lines, wanted


@given(happened, st.randoms(use_true_random=False))
def test_each_stay_is_counted_once_in_whatever_order_the_lines_come(
    story: list[Stayed], chance: Random
) -> None:
    lines, wanted = told(story)
    chance.shuffle(lines)
    found = applied(published(SOURCES["asterisk-queue-log"], lines))
    assert {
        name: (data["outcome"], data["queued_at"], data["wait_s"]) for (_, name), data in found.items()
    } == wanted


def note(at: int, kind: str) -> Note:
    return Note("call", kind, at, {})


def orders(*notes: Note) -> list[tuple[int, int | None, int]]:
    found = stays(notes, "in", frozenset({"out"}))
    return [(stay.order, stay.entry.at if stay.entry else None, stay.end.at) for stay in found]


def test_who_goes_out_and_in_again_in_one_moment_was_there_before() -> None:
    assert orders(note(1, "in"), note(5, "in"), note(5, "out"), note(9, "out")) == [(1, 1, 5), (2, 5, 9)]


def test_who_comes_in_and_goes_out_in_one_moment_was_not_there_before() -> None:
    assert orders(note(5, "in"), note(5, "out"), note(7, "in"), note(9, "out")) == [(1, 5, 5), (2, 7, 9)]


def test_a_second_end_is_of_the_same_stay() -> None:
    assert orders(note(1, "in"), note(5, "out"), note(9, "out")) == [(1, 1, 5)]


def test_an_entry_without_an_end_is_no_stay() -> None:
    assert orders(note(1, "in"), note(5, "in"), note(9, "out"), note(10, "in")) == [(1, 5, 9)]


def test_an_end_without_an_entry_is_a_stay() -> None:
    assert orders(note(5, "out"), note(7, "in"), note(9, "out")) == [(1, None, 5), (2, 7, 9)]
