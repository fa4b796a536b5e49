"""The checks of what is live find what they are there for: each fault, planted, makes a named one fail."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from streamer.events.counting_rules import CountingRules
from streamer.events.models import ContactState
from streamer.journeys import apply as journeys_apply
from streamer.journeys import state_history, working_set
from streamer.journeys.state_history import (
    NO_PROFILE,
    AgentHistory,
    ContactHistory,
    StateMoment,
    TakenBack,
    heard_until,
)
from streamer.journeys.working_set import Transaction
from streamer.panes import live_fold, live_index
from streamer.panes.agent_time import AgentInterval
from streamer.store.memory import MemoryStore
from streamer.worker import pipeline
from tests import test_live_exactness
from tests.facts import call
from tests.live_oracle import TimedEvent
from tests.strategies import START
from tests.test_exactness import at_once
from tests.test_live_exactness import (
    LiveDelivery,
    ageing_deliveries,
    check_live,
    check_live_ageing,
    live_deliveries,
    timed_logs,
)
from tests.test_planted_faults import must_find, searched

Check = Callable[[], None]
Plant = Callable[[pytest.MonkeyPatch], None]


# The checks


def live_exactness() -> None:
    def check(delivery: LiveDelivery) -> None:
        at_once(check_live(delivery, MemoryStore()))

    searched(150, live_deliveries(), check)


def live_ageing() -> None:
    def check(timed: list[TimedEvent]) -> None:
        check_live_ageing(timed)

    searched(100, ageing_deliveries(), check)


def repeats_for_days() -> None:
    test_live_exactness.test_a_state_repeated_for_days_began_when_it_began_and_keeps_its_profile()


def an_end_before_its_states() -> None:
    """A call that is completed before the news of its beginning arrives."""
    queued = ContactState(contact_id="c1", state="queued", at=START, queue="billing", channel="voice")
    ended = call("c1", START + 60_000, queue="billing")
    logs = timed_logs([(ended, 0, ended.time), (queued, 0, ended.time)])
    at_once(check_live(LiveDelivery(CountingRules(), logs, [(place, 1) for place in logs]), MemoryStore()))


# The faults


def a_lost_end(patch: pytest.MonkeyPatch) -> None:
    exact = Transaction.set_states

    def set_states(self: Transaction, key: bytes, states: ContactHistory | None) -> None:
        if states is not None:
            exact(self, key, states)

    patch.setattr(Transaction, "set_states", set_states)


def an_end_that_later_news_revive(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journeys_apply, "is_forgotten", lambda *_: True)


def an_interval_counted_twice(patch: pytest.MonkeyPatch) -> None:
    def agent_delta(_: object, after: AgentHistory, silence_ms: int) -> list[tuple[AgentInterval, int]]:
        return [(interval, 1) for interval in live_fold.agent_intervals(after, silence_ms)]

    patch.setattr(pipeline, "agent_delta", agent_delta)


def an_open_interval_stored(patch: pytest.MonkeyPatch) -> None:
    exact = live_fold.agent_intervals

    def with_open_one(
        history: AgentHistory | None, silence_ms: int, from_ms: int = 0
    ) -> Iterator[AgentInterval]:
        yield from exact(history, silence_ms, from_ms)
        if history is not None and history.moments and history.moments[-1].state != 6:
            last = history.moments[-1]
            profile = live_fold.agent_profile(history, history.profile_before(len(history.moments)))
            yield AgentInterval(profile, last.state, None, last.at, heard_until(last, silence_ms))

    patch.setattr(live_fold, "agent_intervals", with_open_one)


def an_agent_free_in_two_states(patch: pytest.MonkeyPatch) -> None:
    """A state lasts until nothing is known any more, whatever follows."""
    exact = live_fold.agent_intervals

    def uncut(history: AgentHistory | None, silence_ms: int, from_ms: int = 0) -> Iterator[AgentInterval]:
        known_until = (
            {}
            if history is None
            else {moment.at: heard_until(moment, silence_ms) for moment in history.moments}
        )
        for interval in exact(history, silence_ms, from_ms):
            yield interval._replace(end_ms=known_until.get(interval.start_ms, interval.end_ms))

    patch.setattr(live_fold, "agent_intervals", uncut)


def states_in_the_order_of_arrival(patch: pytest.MonkeyPatch) -> None:
    def appended(moments: tuple[StateMoment, ...], moment: StateMoment) -> tuple[StateMoment, ...]:
        return (*(known for known in moments if known.at != moment.at), moment)

    patch.setattr(state_history, "_placed", appended)


def an_index_whose_first_commit_decides(patch: pytest.MonkeyPatch) -> None:
    exact = live_index._add_deltas

    def backwards(deltas: Iterable[Any], known: Mapping[bytes, Any]) -> dict[bytes, Any]:
        return exact([*deltas][::-1], known)

    patch.setattr(live_index, "_add_deltas", backwards)


def what_was_taken_back_is_no_longer_known(patch: pytest.MonkeyPatch) -> None:
    def left(moments: Sequence[StateMoment], taken_back: TakenBack) -> tuple[StateMoment, ...]:
        return tuple(
            moment
            for moment in moments
            if taken_back.version is None or moment.version > taken_back.version
            if moment.version > taken_back.of_moment.get(moment.at, -1)
        )

    patch.setattr(state_history, "_left", left)
    patch.setattr(TakenBack, "covers", lambda *_: False)


def a_profile_that_is_not_carried_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AgentHistory, "profile_before", lambda *_: NO_PROFILE)


def a_beginning_that_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    exact = state_history.pruned_history
    patch.setattr(state_history, "pruned_history", lambda *args: replace(exact(*args), since_ms=None))


def the_state_in_force_is_pruned_too(patch: pytest.MonkeyPatch) -> None:
    exact = working_set.unpack_agent

    def unpack(packed: bytes, floor_ms: int, silence_ms: int) -> AgentHistory:
        history = exact(packed, floor_ms, silence_ms)
        return replace(
            history, moments=tuple(moment for moment in history.moments if moment.at >= history.floor_ms)
        )

    patch.setattr(working_set, "unpack_agent", unpack)


def times_not_taken_from_the_hours_they_left(patch: pytest.MonkeyPatch) -> None:
    exact = live_fold.agent_delta

    def added_alone(*args: Any) -> list[tuple[AgentInterval, int]]:
        return [(interval, weight) for interval, weight in exact(*args) if weight > 0]

    patch.setattr(pipeline, "agent_delta", added_alone)


FAULTS: Sequence[tuple[Plant, Check]] = (
    (a_lost_end, live_exactness),
    (an_end_that_later_news_revive, an_end_before_its_states),
    (an_interval_counted_twice, live_exactness),
    (times_not_taken_from_the_hours_they_left, live_exactness),
    (an_open_interval_stored, live_exactness),
    (an_agent_free_in_two_states, live_exactness),
    (states_in_the_order_of_arrival, live_exactness),
    (an_index_whose_first_commit_decides, live_exactness),
    (what_was_taken_back_is_no_longer_known, live_exactness),
    (a_profile_that_is_not_carried_over, repeats_for_days),
    (a_beginning_that_is_forgotten, repeats_for_days),
    (the_state_in_force_is_pruned_too, live_ageing),
)


@pytest.mark.parametrize("check", [an_end_before_its_states, repeats_for_days], ids=lambda one: one.__name__)
def test_without_a_fault_a_check_that_searches_for_nothing_passes(check: Check) -> None:
    check()


@pytest.mark.parametrize(("plant", "check"), FAULTS, ids=lambda one: one.__name__)
def test_a_fault_in_what_is_live_is_found(plant: Plant, check: Check) -> None:
    with must_find(), pytest.MonkeyPatch.context() as patch:
        plant(patch)
        check()
