"""Interleavings at any await: whichever process dies, times out or comes back as a zombie, the published
events count as if each contact had been reported once, in order and completely.

The owners are stepped by hand, as in test_interleaving.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from msgspec.structs import replace
from structlog.testing import capture_logs

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import SourceAdapter
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, is_agent
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest.assembly import decode_assembly
from streamer.ingest.raw_processor import (
    FragmentsByKey,
    ParsedRecord,
    RawBatch,
    RawPartitionProcessor,
    SourcePipeline,
)
from streamer.runtime.retry import retry_forever
from streamer.store.memory import MemoryStore
from streamer.store.port import Commit, DocumentSnapshot, Partition
from streamer.worker import pipeline
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver
from tests.events.adapters.state_rules import States, difference, states_in_force
from tests.ingest.memory_ingest import PLAIN, QUEUE_LOG, CollectedEvents, clean, counted, raw, stated
from tests.strategies import START
from tests.test_exactness import SLOW, Place, at_once, expected_tallies, results
from tests.test_interleaving import (
    FATES,
    FarLetters,
    RemoteStore,
    StepNetwork,
    StepScheduler,
    Work,
    YieldPoint,
    count_all,
)

S = START // 1000
BAD = b"1|neither a line nor an object"
CALLERS = ("+34600000201", "+34600000202")
RULES = CountingRules()


@st.composite
def lines(draw: st.DrawFn, number: int) -> list[bytes]:
    """Draw the lines of queue_log of one call: one or more visits to queues, each answered or not."""
    # Within the day that is kept of an agent.
    second, found = S - draw(st.integers(1_000, 80_000)), list[bytes]()

    def say(event: str, *fields: object, agent: str = "NONE") -> None:
        found.append("|".join(map(str, (second, f"call-{number}", queue, agent, event, *fields))).encode())

    for stay in range(draw(st.integers(1, 3))):
        queue = draw(st.sampled_from(("billing", "sales")))
        say("ENTERQUEUE", "", CALLERS[number % 2], stay)
        wait = draw(st.integers(0, 40))
        second += wait
        if draw(st.booleans()):
            say("ABANDON", 1, 1, wait)
        else:
            say("CONNECT", wait, "member", 2, agent="SIP/17")
            second += 60
            say(draw(st.sampled_from(("COMPLETEAGENT", "TRANSFER"))), wait, 60, wait, 60, agent="SIP/17")
        second += draw(st.sampled_from((0, 1)))
    return found


@st.composite
def contact_events(draw: st.DrawFn, number: int) -> list[bytes]:
    """Draw the Amazon Connect events of one contact and perhaps the one it is transferred to."""
    second, found, before = S - draw(st.integers(1_000, 100_000)), list[bytes](), dict[str, str]()
    for leg in range(draw(st.integers(1, 2))):
        about = {
            "contactId": f"contact-{number}-{leg}",
            "initialContactId": f"contact-{number}-0",
            "channel": draw(st.sampled_from(("VOICE", "voice"))),
            "initiationMethod": "TRANSFER" if leg else "INBOUND",
            "customerEndpoint": {"address": CALLERS[number % 2]},
            "queueInfo": {"queueArn": draw(st.sampled_from(("billing", "sales")))},
            **before,
        }
        before = {"previousContactId": about["contactId"]}
        steps = ["QUEUED", *draw(st.sampled_from(((), ("CONNECTED_TO_AGENT",)))), "DISCONNECTED"]
        for step in steps:
            second += draw(st.integers(0, 60))
            if step == "CONNECTED_TO_AGENT":
                about |= {"agentInfo": {"agentArn": "ann"}}
            found.append(_event(second, {**about, "eventType": step}))
        if len(steps) == 3:
            about["agentInfo"] |= {"afterContactWorkDuration": draw(st.integers(0, 60))}
            found.append(_event(second, {**about, "eventType": "COMPLETED"}))
    return found


def _event(second: int, detail: Mapping[str, Any]) -> bytes:
    kind = "Amazon Connect Contact Event"
    return json.dumps({"detail-type": kind, "time": _text(second), "detail": detail}).encode()


@st.composite
def contact_records(draw: st.DrawFn, number: int) -> list[bytes]:
    """Draw Amazon Connect records of one contact, each newer than the last; the talk time is corrected."""
    ended = S - draw(st.integers(1_000, 100_000))
    record = {
        "ContactId": f"record-{number}",
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "CustomerEndpoint": {"Address": CALLERS[number % 2]},
        "Queue": {"Name": draw(st.sampled_from(("billing", "sales"))), "Duration": draw(st.integers(0, 40))},
        "DisconnectTimestamp": _text(ended),
    }
    handled = draw(st.booleans())
    return [
        json.dumps(
            record
            | {"LastUpdateTimestamp": _text(ended + 60 * version)}
            | ({"Agent": {"Username": "ann", "AgentInteractionDuration": talk}} if handled else {})
        ).encode()
        for version, talk in enumerate(draw(st.lists(st.integers(1, 500), min_size=1, max_size=3)))
    ]


def _text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")


TELLERS: Mapping[str, Callable[[int], st.SearchStrategy[list[bytes]]]] = {
    "asterisk-queue-log": lines,
    "amazon-connect-events": contact_events,
    "amazon-connect": contact_records,
}


class Play(NamedTuple):
    """Logs, their readers (a partition and a batch size each), and the faults that befall them."""

    source: SourceAdapter
    payloads: Sequence[bytes]
    logs: Mapping[Place, Sequence[KafkaRecord]]
    cast: Sequence[tuple[Place, int]]
    schedule: Sequence[tuple[int, str]]


@st.composite
def plays(draw: st.DrawFn, name: str) -> Play:
    """Draw all payloads at least once, some up to three times, in any order, over two partitions."""
    told = [payload for number in range(draw(st.integers(1, 3))) for payload in draw(TELLERS[name](number))]
    again = draw(st.lists(st.sampled_from([*told, BAD]), max_size=2 * len(told)))
    delivered = draw(st.permutations([*told, *again]))
    parts = [draw(st.integers(0, 1)) for _ in delivered]
    logs: dict[Place, Sequence[KafkaRecord]] = {}
    for number in {*parts}:
        payloads = [payload for payload, part in zip(delivered, parts, strict=True) if part == number]
        place = Partition(f"ingest-{name}", number)
        logs[place] = raw(place, payloads, START)
    cast = [(place, draw(st.integers(1, 6))) for place in logs for _ in range(draw(st.integers(1, 3)))]
    length = draw(st.sampled_from((0, 40, 120, 250)))
    steps = st.tuples(st.integers(0, 9), st.sampled_from(FATES))
    schedule = draw(st.lists(steps, min_size=length, max_size=length))
    return Play(SOURCES[name], told, logs, cast, schedule)


class FarEvents(CollectedEvents):
    """Publisher over a network: publishes in part, twice, or long after its process died."""

    def __init__(self, network: StepNetwork) -> None:
        super().__init__()
        self._network = network

    async def send(self, events: Sequence[OutgoingRecord]) -> None:
        for event in events:
            await self._network.over(lambda: CollectedEvents.send(self, [event]))  # noqa: B023


def check_play(play: Play, kind: type[RawPartitionProcessor] = RawPartitionProcessor) -> None:
    async def pause(_: float) -> None:
        await YieldPoint()

    with pytest.MonkeyPatch.context() as patch, capture_logs():
        patch.setattr(asyncio, "sleep", pause)
        patch.setattr(pipeline, "COMMIT_EVENTS", 4)
        _check_play(play, kind)


def published_states(events: Iterable[OutgoingRecord]) -> States:
    return states_in_force((event.topic, json.loads(event.value)) for event in events)


def facts_of(events: Iterable[OutgoingRecord]) -> list[OutgoingRecord]:
    return [event for event in events if event.topic not in (CONTACT_STATE, AGENT_STATE)]


def _check_play(play: Play, kind: type[RawPartitionProcessor]) -> None:
    records = [one for log in play.logs.values() for one in log]
    rejected = {one for one in records if one.value == BAD}
    network, inner = StepNetwork(), MemoryStore()
    letters, out = FarLetters(network), FarEvents(network)
    remote = RemoteStore(inner, network, letters, rejected)
    inlet = SourcePipeline(play.source, play.source.options, PLAIN, out)

    def owner(place: Place, size: int) -> Work:
        shared = ProcessingContext(remote, RULES, letters, NullObserver(), lambda: START)
        make: Any = lambda at, position, counting: kind(at, position, counting, inlet)  # noqa: E731
        return count_all(shared, play.logs[place], size, make)

    owners = [lambda place=place, size=size: owner(place, size) for place, size in play.cast]
    stage = StepScheduler(owners, remote, network)
    try:
        for who, fate in play.schedule:
            stage.apply_fate(who, fate)
        stage.finish(range(len(owners)))
    finally:
        stage.close()
    published_cleanly = clean(play.source, play.payloads)
    assert difference(published_states(out.events), published_states(published_cleanly)) == []
    expected = expected_tallies(stated(facts_of(published_cleanly), RULES), RULES)
    assert expected
    assert at_once(counted(facts_of(out.events), RULES)) == expected
    assert at_once(counted(facts_of(out.events)[::-1], RULES)) == expected
    counts, topic = at_once(inner.counters()), f"ingest-{play.source.name}"
    assert results(counts, topic) == len(records)
    assert counts.get(f"events\x1f{topic}\x1frejected", 0) == len(rejected)
    assert {one for one, _ in letters.letters} == rejected


@pytest.mark.parametrize("name", TELLERS)
@settings(SLOW, max_examples=40)
@given(data=st.data())
def test_crashes_zombies_time_outs_and_failovers_at_any_await_count_as_the_clean_stream(
    name: str, data: st.DataObject
) -> None:
    check_play(data.draw(plays(name)))


class CommitsFirst(RawPartitionProcessor):
    """A fault: publishes after the commit, not before it."""

    async def _count(self, records: Sequence[KafkaRecord], end: int) -> None:
        later: list[OutgoingRecord] = []

        class Later(CollectedEvents):
            async def send(self, events: Sequence[OutgoingRecord]) -> None:
                later.extend(events)

        inlet, self._pipeline = self._pipeline, self._pipeline._replace(publisher=Later())
        try:
            await super()._count(records, end)
        finally:
            self._pipeline = inlet
        await retry_forever(lambda: inlet.publisher.send(later))


class ComparesNothing(RawPartitionProcessor):
    """A fault: overwrites assemblies that another process wrote meanwhile."""

    def _commit(self, records: Sequence[KafkaRecord], end: int, batch: RawBatch, *read: Any) -> Commit:
        return replace(super()._commit(records, end, batch, *read), reads=())


class PublishesWhatDiffers(RawPartitionProcessor):
    """A fault: does not publish events that differ only in version from those of the fragments before. A
    process that died may have published different ones under a version between."""

    def _assemble_batch(
        self, parsed_records: Sequence[ParsedRecord], fragments: FragmentsByKey, snapshot: DocumentSnapshot
    ) -> RawBatch:
        batch = super()._assemble_batch(parsed_records, fragments, snapshot)
        before = [
            PLAIN.enrich_event(earlier_event, QUEUE_LOG.name, START)
            for key, packed in zip(fragments, snapshot.values, strict=False)
            if packed is not None and not is_agent(fragments[key][0][1].contact)
            for earlier_event in decode_assembly(packed).events(QUEUE_LOG, {})
        ]
        known_events = {_bare(event) for event in before}
        batch.events = [event for event in batch.events if _bare(event) not in known_events]
        return batch


def _bare(event: Any) -> Any:
    return re.sub(rb'"version":\d+', b"", event.value)


@pytest.mark.parametrize("fault", [CommitsFirst, ComparesNothing, PublishesWhatDiffers])
def test_a_planted_fault_is_found(fault: type[RawPartitionProcessor]) -> None:
    def fails(play: Play) -> bool:
        try:
            check_play(play, fault)
        except AssertionError:
            return True
        return False

    budget = settings(SLOW, max_examples=400, phases=[Phase.generate], derandomize=True, database=None)
    try:
        find(plays(QUEUE_LOG.name), fails, settings=budget)
    except NoSuchExample:
        pytest.fail(f"{fault.__name__} is not found")
