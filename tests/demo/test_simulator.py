"""The simulated center is deterministic, and looks like a real one."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

import msgspec
import pytest

from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.roster import DAY_SHAPE
from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter, publish_messages
from streamer.events.counting_rules import DAY, HOUR, MINUTE, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import (
    Event,
    QualityEvaluation,
    RejectedEvent,
    Segment,
    StatedFact,
    SurveyResponse,
    SurveySent,
    Tombstone,
)

START = 1_790_000_000_000
DAY_PLAN = CenterPlan(seed=1, start_ms=START, rate=0.4, zone="Europe/Madrid")


@cache
def day() -> tuple[SimulatedMessage, ...]:
    return tuple(SimulatedCenter(DAY_PLAN).history(24))


def read(message: SimulatedMessage) -> Event | RejectedEvent:
    record = KafkaRecord(message.topic, 0, 0, message.at_ms, message.key, message.value, message.headers)
    return decode(record, CountingRules())


def events(messages: Sequence[SimulatedMessage]) -> Iterator[Event]:
    for message in messages:
        event = read(message)
        assert not isinstance(event, RejectedEvent), (event, message)
        yield event


def facts(messages: Sequence[SimulatedMessage]) -> list[StatedFact]:
    """Return the newest version of each event."""
    newest: dict[Any, StatedFact] = {}
    for event in events(messages):
        if not isinstance(event, Tombstone):
            known = newest.get(event.identity)
            if known is None or known.version < event.version:
                newest[event.identity] = event
    return list(newest.values())


@cache
def day_facts() -> list[StatedFact]:
    return facts(day())


def nps(responses: list[SurveyResponse]) -> float:
    scores = [response.nps for response in responses if response.nps is not None]
    return 100 * sum((score >= 9) - (score <= 6) for score in scores) / len(scores)


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


def test_the_same_seed_and_start_give_the_same_messages_byte_for_byte() -> None:
    def told(seed: int, start_ms: int) -> list[SimulatedMessage]:
        center = SimulatedCenter(CenterPlan(seed=seed, start_ms=start_ms, rate=1))
        live = takewhile(lambda message: message.at_ms < start_ms + 5 * MINUTE, center.live())
        return [*center.history(1, thin_days=2), *live]

    assert told(3, START) == told(3, START)
    assert told(3, START) != told(4, START)


def test_a_center_started_again_repeats_no_contact() -> None:
    def ids(start_ms: int) -> set[str]:
        told = SimulatedCenter(CenterPlan(seed=1, start_ms=start_ms)).history(1)
        return {event.contact_id for event in events(list(told)) if isinstance(event, Segment)}

    assert ids(START).isdisjoint(ids(START + 60_000))


def test_messages_come_in_the_order_of_their_times_and_live_goes_on_where_history_ends() -> None:
    center = SimulatedCenter(CenterPlan(seed=1, start_ms=START, rate=2))
    past = list(center.history(2, thin_days=1))
    live = list(takewhile(lambda message: message.at_ms < START + 20 * MINUTE, center.live()))
    assert START - 2 * HOUR - DAY <= past[0].at_ms < past[-1].at_ms < START <= live[0].at_ms
    assert all(one.at_ms <= other.at_ms for one, other in pairwise([*past, *live]))


@pytest.mark.parametrize("seed", range(5))
def test_the_past_hours_are_full_however_thin_the_days_before_them(seed: int) -> None:
    past = list(
        SimulatedCenter(CenterPlan(seed=seed, start_ms=START, rate=8)).history(0.25, thin_days=9, thin=0.0002)
    )
    first = next(at for at in (message.at_ms for message in past) if at >= START - HOUR // 4)
    assert first < START - HOUR // 4 + MINUTE


def test_nothing_is_rejected() -> None:
    assert sum(1 for _ in events(day())) == len(day())


def test_eight_queues_three_sites_twelve_teams_120_agents_four_channels() -> None:
    segments = [fact for fact in day_facts() if isinstance(fact, Segment)]
    names = {name: {getattr(segment, name) for segment in segments} for name in Segment.__struct_fields__}
    assert len(names["queue"]) == 8
    assert names["site"] == {None, "madrid", "lisbon", "manila"}
    assert len(names["team"] - {None}) == 12
    assert len(names["agent_id"] - {None}) == 120
    assert names["channel"] == {"voice", "chat", "email", "message"}
    assert {"billing", "north-2", "a-017"} <= names["queue"] | names["team"] | names["agent_id"]
    assert names["outcome"] >= {"answered", "abandoned", "voicemail", "overflow", "callback"}
    assert {"none", "queue", "external"} == names["transfer"]
    assert {"inbound", "outbound"} == names["direction"]


def test_a_transfer_keeps_the_contact_and_takes_another_segment() -> None:
    segments = [fact for fact in day_facts() if isinstance(fact, Segment)]
    stays = Counter(segment.contact_id for segment in segments)
    assert stays.most_common(1)[0][1] > 1
    assert len({segment.identity for segment in segments}) == len(segments)


def test_the_rate_is_kept_over_a_day_and_the_noon_is_busier_than_the_night() -> None:
    contacts = {fact.contact_id for fact in day_facts() if isinstance(fact, Segment)}
    assert len(contacts) == pytest.approx(0.4 * 86_400, rel=0.15)
    assert sum(DAY_SHAPE) / 24 == pytest.approx(1)
    hours = Counter((fact.ended_at // HOUR + 2) % 24 for fact in day_facts() if isinstance(fact, Segment))
    assert hours[11] > 2 * hours[3]


def test_one_in_five_surveys_is_answered_and_most_of_these_within_minutes() -> None:
    sent = {fact.survey_id: fact.sent_at for fact in day_facts() if isinstance(fact, SurveySent)}
    answered = [fact for fact in day_facts() if isinstance(fact, SurveyResponse)]
    assert len(answered) / len(sent) == pytest.approx(0.2, abs=0.03)
    delays = sorted(
        response.answered_at - sent[response.survey_id] for response in answered if response.survey_id in sent
    )
    assert MINUTE < delays[len(delays) // 2] < 5 * MINUTE
    assert delays[-1] > HOUR


def test_scores_are_those_of_a_decent_center() -> None:
    responses = [fact for fact in day_facts() if isinstance(fact, SurveyResponse)]
    assert nps(responses) == pytest.approx(30, abs=8)
    assert share([fact.csat >= 4 for fact in responses if fact.csat]) == pytest.approx(0.8, abs=0.05)
    first = [fact.resolved_first for fact in responses if fact.resolved_first is not None]
    assert share(first) == pytest.approx(0.75, abs=0.05)


def test_a_third_of_surveys_and_evaluations_know_only_their_contact() -> None:
    responses = [fact for fact in day_facts() if isinstance(fact, SurveyResponse)]
    only = [fact.customer_id is None and fact.contact_id is not None for fact in responses]
    assert share(only) == pytest.approx(1 / 3, abs=0.05)
    assert any(fact.customer_id is None and fact.contact_id is None for fact in responses)
    assert all(fact.survey_id or fact.contact_id for fact in responses)
    evaluations = [fact for fact in day_facts() if isinstance(fact, QualityEvaluation)]
    assert share([fact.agent_id is None for fact in evaluations]) == pytest.approx(1 / 3, abs=0.08)


def test_there_is_all_that_makes_counting_hard() -> None:
    segments = [fact for fact in day_facts() if isinstance(fact, Segment)]
    assert 0.01 < share([segment.customer_id is None for segment in segments]) < 0.06
    copies = Counter((message.topic, message.key, message.value) for message in day())
    assert 0.005 < share([count > 1 for count in copies.values()]) < 0.02
    late = [message.at_ms - event.time > 5 * MINUTE for message, event in told_segments()]
    assert 0.005 < share(late) < 0.03
    assert 0.005 < share([segment.version > 0 for segment in segments]) < 0.02
    kinds = {event.identity.kind for event in events(day()) if isinstance(event, Tombstone)}
    assert kinds == {"s", "r"}


def told_segments() -> Iterator[tuple[SimulatedMessage, Segment]]:
    for message in day():
        event = read(message)
        if isinstance(event, Segment) and event.version == 0:
            yield message, event


def test_customers_who_were_not_helped_come_again() -> None:
    segments = [fact for fact in day_facts() if isinstance(fact, Segment) and fact.customer_id]
    contacts = Counter(customer for customer, _ in {(fact.customer_id, fact.contact_id) for fact in segments})
    assert share([count > 1 for count in contacts.values()]) > 0.02


def test_all_three_envelopes_are_in_use_and_bare_objects_mostly() -> None:
    def envelope(message: SimulatedMessage) -> str:
        names = {name for name, _ in message.headers}
        return "binary" if "ce_id" in names else "structured" if names else "bare"

    found = Counter(map(envelope, day()))
    assert set(found) == {"bare", "structured", "binary"}
    assert found["bare"] > len(day()) / 2


def test_records_carry_their_customer_as_key() -> None:
    customers = share([message.key.startswith(b"c-") for message in day()])
    assert customers > 0.9


def test_two_centers_of_one_seed_have_the_same_agents_and_they_differ_for_good() -> None:
    one, other = SimulatedCenter(DAY_PLAN), SimulatedCenter(DAY_PLAN._replace(start_ms=START + DAY))
    assert one.agents == other.agents
    best, worst = max(one.agents, key=lambda a: a.skill), min(one.agents, key=lambda a: a.skill)
    assert best.skill - worst.skill > 1


@pytest.mark.parametrize(
    ("since_s", "severity"),
    [(0, 0), (59, 0), (60, 0), (90, 1), (285, 1), (360, 0), (940, 0), (1260, 0), (1290, 1), (1560, 0)],
)
def test_the_incident_comes_stays_goes_and_comes_again(since_s: float, severity: float) -> None:
    assert Incident().severity(since_s) == severity


def test_the_incident_makes_one_queue_worse_and_it_recovers() -> None:
    incident = Incident(queue="billing", after_s=1200, lasts_s=1200, every_s=10_000)
    center = SimulatedCenter(CenterPlan(seed=5, start_ms=START, rate=8, incident=incident))
    told = list(takewhile(lambda message: message.at_ms < START + 75 * MINUTE, center.live()))
    known = facts(told)
    queue = {
        fact.contact_id: fact for fact in known if isinstance(fact, Segment) and fact.transfer != "queue"
    }

    def during(name: str, begin_s: int, end_s: int) -> tuple[float, float]:
        """Return NPS and abandonment of the contacts of that time."""
        ours = [fact for fact in queue.values() if fact.queue == name and fact.queued_at is not None]
        then = [fact for fact in ours if begin_s * 1000 <= (fact.queued_at or 0) - START < end_s * 1000]
        ids = {fact.contact_id for fact in then}
        said = [fact for fact in known if isinstance(fact, SurveyResponse) and fact.contact_id in ids]
        return nps(said), share([fact.outcome == "abandoned" for fact in then])

    before, amid, after = (
        during("billing", 0, 1200),
        during("billing", 1320, 2100),
        during("billing", 2400, 3600),
    )
    assert amid[0] < min(before[0], after[0]) - 40
    assert amid[1] > 3 * max(before[1], after[1])
    assert after[0] > 5
    assert during("support", 1320, 2100)[0] > 0


class Producer:
    """Producer that keeps the messages and when they came."""

    def __init__(self, clock: "Clock") -> None:
        self.clock, self.sent = clock, list[tuple[float, dict[str, Any]]]()

    async def send(self, topic: str, value: bytes, **more: Any) -> "asyncio.Future[None]":
        self.sent.append((self.clock.now_s, {"topic": topic, "value": value, **more}))
        self.clock.now_s += 0.02  # sending takes its time
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


async def test_live_messages_go_out_at_their_times_without_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [
        SimulatedMessage(1_000_000 + 100 * number, "t", b"k", b"v", (("h", b"1"),)) for number in range(500)
    ]
    clock = Clock(1000.0)
    producer = Producer(clock)
    monkeypatch.setattr("streamer.demo.simulator.asyncio.sleep", clock.sleep)
    await publish_messages(messages, producer, lambda: clock.now_s)
    for message, (at_s, sent) in zip(messages, producer.sent, strict=True):
        assert at_s == pytest.approx(message.at_ms / 1000, abs=0.03)
        assert sent["timestamp_ms"] == message.at_ms
    assert producer.sent[0][1]["headers"] == [("h", b"1")]


def test_values_are_json_objects_without_unknowns() -> None:
    for message in day()[:500]:
        body = msgspec.json.decode(message.value)
        data = body.get("data", body)
        assert None not in data.values()
