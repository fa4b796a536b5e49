"""Tests: the visits of a call are separated correctly, whatever order their lines come in."""

from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.queue_visits import queue_visits
from streamer.events.adapters.source import Fragment
from tests.events.adapters.published_events import latest_facts, published_events

T = 1_700_000_000
ENDS = {
    "COMPLETEAGENT": ("answered", "SIP/1", "{wait}|{talk}|1"),
    "BLINDTRANSFER": ("answered", "SIP/1", "600|inside|{wait}|{talk}|1"),
    "ABANDON": ("abandoned", "NONE", "1|1|{wait}"),
    "EXITWITHTIMEOUT": ("timeout", "NONE", "1|1|{wait}"),
}


class HappenedVisit(NamedTuple):
    """A visit that happened: the caller entered the queue `after` this many seconds."""

    queue: str
    after: int
    wait: int
    talk: int
    end: str


happened = st.lists(
    st.builds(
        HappenedVisit,
        queue=st.sampled_from("AB"),
        after=st.integers(0, 2),
        wait=st.integers(1, 3),  # of 0, after no pause: in whole seconds nobody can tell one stay from two
        talk=st.integers(0, 3),
        end=st.sampled_from([*ENDS]),
    ),
    min_size=1,
    max_size=6,
)


def log_and_outcomes(story: list[HappenedVisit]) -> tuple[list[str], dict[str, tuple[str, int, int]]]:
    """Return the log's lines, and the expected outcome, entry and wait by segment."""
    lines, outcomes, now = [], dict[str, tuple[str, int, int]](), T
    for visit in story:
        entered = now + visit.after
        outcome, agent, details = ENDS[visit.end]
        now = entered + visit.wait + (visit.talk if outcome == "answered" else 0)
        lines.append(f"{entered}|call|{visit.queue}|NONE|ENTERQUEUE||+34915550123|1")
        lines.append(
            f"{now}|call|{visit.queue}|{agent}|{visit.end}|{details.format(wait=visit.wait, talk=visit.talk)}"
        )
        number = 1 + sum(name.startswith(f"call/{visit.queue}/") for name in outcomes)
        outcomes[f"call/{visit.queue}/{number}"] = (outcome, entered, visit.wait)
    return lines, outcomes


@given(happened, st.randoms(use_true_random=False))
def test_each_stay_is_counted_once_in_whatever_order_the_lines_come(
    story: list[HappenedVisit], chance: Random
) -> None:
    lines, wanted = log_and_outcomes(story)
    chance.shuffle(lines)
    found = latest_facts(published_events(SOURCES["asterisk-queue-log"], lines))
    assert {
        name: (data["outcome"], data["queued_at"], data["wait_s"]) for (_, name), data in found.items()
    } == wanted


def fragment(at: int, kind: str) -> Fragment:
    return Fragment("call", kind, at, {})


def visits_of(*fragments: Fragment) -> list[tuple[int, int | None, int]]:
    visits = queue_visits(fragments, "in", frozenset({"out"}))
    return [(visit.visit_number, visit.entry.at if visit.entry else None, visit.end.at) for visit in visits]


def test_who_goes_out_and_in_again_in_one_moment_was_there_before() -> None:
    assert visits_of(fragment(1, "in"), fragment(5, "in"), fragment(5, "out"), fragment(9, "out")) == [
        (1, 1, 5),
        (2, 5, 9),
    ]


def test_who_comes_in_and_goes_out_in_one_moment_was_not_there_before() -> None:
    assert visits_of(fragment(5, "in"), fragment(5, "out"), fragment(7, "in"), fragment(9, "out")) == [
        (1, 5, 5),
        (2, 7, 9),
    ]


def test_a_second_end_is_of_the_same_stay() -> None:
    assert visits_of(fragment(1, "in"), fragment(5, "out"), fragment(9, "out")) == [(1, 1, 5)]


def test_an_entry_without_an_end_is_no_stay() -> None:
    assert visits_of(fragment(1, "in"), fragment(5, "in"), fragment(9, "out"), fragment(10, "in")) == [
        (1, 5, 9)
    ]


def test_an_end_without_an_entry_is_a_stay() -> None:
    assert visits_of(fragment(5, "out"), fragment(7, "in"), fragment(9, "out")) == [(1, None, 5), (2, 7, 9)]
