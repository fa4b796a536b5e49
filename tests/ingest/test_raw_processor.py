"""Results of raw records: events, assemblies, dead letters, and their counts."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, OutgoingEvent, SourceAdapter
from streamer.events.agent_directory import AgentDirectory, TeamMembership
from streamer.events.counting_rules import MINUTE
from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest import assembly
from streamer.ingest.assembly import ContactAssembly, assembly_key, decode_assembly
from streamer.ingest.enricher import Enricher
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.store.memory import MemoryStore
from tests.ingest.memory_ingest import QUEUE_LOG, MemoryIngest
from tests.strategies import START
from tests.test_exactness import at_once

S = START // 1000
DELIGHTED = SOURCES["delighted"]


def answer(number: int, **changed: Any) -> bytes:
    return json.dumps({"id": f"r-{number}", "score": 9, "created_at": S, "person": "ann"} | changed).encode()


def line(second: int, call: str, event: str, *fields: object, agent: str = "NONE") -> bytes:
    return "|".join(map(str, (S + second, call, "billing", agent, event, *fields))).encode()


CALL = (
    line(-90, "c1", "ENTERQUEUE", "", "5550100200", 1),
    line(-80, "c1", "CONNECT", 10, "member", 3, agent="SIP/17"),
    line(-20, "c1", "COMPLETECALLER", 10, 60, 1, agent="SIP/17"),
)


def calls(published: Iterable[OutgoingRecord]) -> list[OutgoingRecord]:
    return [event for event in published if event.topic == "call-completed"]


def data(event: OutgoingRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.value)
    return found


async def test_a_source_without_state_is_published_as_it_comes() -> None:
    intake = MemoryIngest(DELIGHTED)
    first, second = await intake.take(answer(1), answer(2))
    assert (first.topic, first.key, first.timestamp_ms) == ("survey-completed", b"ann", S * 1000)
    assert dict(first.headers)["ce_source"] == b"delighted"
    assert data(second)["response_id"] == "r-2"
    assert await intake.results() == {"applied": 2}


async def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on() -> None:
    intake = MemoryIngest(DELIGHTED)
    published = await intake.take(answer(1), b"{", answer(2, score=11), answer(3))
    assert [data(event)["response_id"] for event in published] == ["r-1", "r-3"]
    assert [(record.offset, why.reason) for record, why in intake.letters.letters] == [
        (1, "not-json"),
        (2, "off-scale"),
    ]
    assert await intake.results() == {"applied": 2, "rejected": 2}


async def test_a_record_of_no_concern_is_counted_as_such() -> None:
    intake = MemoryIngest(QUEUE_LOG)
    assert await intake.take(line(0, "c1", "PENALTY", 5, agent="SIP/17")) == []
    assert await intake.results() == {"unchanged": 1}
    assert intake.letters.letters == []


async def test_the_same_event_twice_in_a_batch_is_published_once() -> None:
    intake = MemoryIngest(DELIGHTED)
    assert len(await intake.take(answer(1), answer(1))) == 1
    assert await intake.results() == {"applied": 2}


async def test_several_records_make_one_contact_and_each_more_makes_a_new_version() -> None:
    intake = MemoryIngest(QUEUE_LOG)
    assert await intake.take(CALL[2]) != []
    (event,) = calls(await intake.take(CALL[0], CALL[1]))
    found = data(event)
    assert (found["version"], found["customer_id"], found["agent_id"]) == (4, "5550100200", "SIP/17")
    assert (found["wait_s"], found["talk_s"]) == (10, 60)
    assert await intake.results() == {"applied": 3}


async def test_what_is_known_already_is_not_published_again() -> None:
    intake = MemoryIngest(QUEUE_LOG)
    await intake.take(*CALL)
    assert await intake.take(CALL[1], CALL[1], CALL[0]) == []
    assert await intake.results() == {"applied": 3, "unchanged": 3}


async def test_of_a_note_twice_in_one_batch_the_second_says_nothing_new() -> None:
    intake = MemoryIngest(QUEUE_LOG)
    (event,) = calls(await intake.take(*CALL, *CALL))
    assert data(event)["version"] == 4
    assert await intake.results() == {"applied": 3, "unchanged": 3}


async def test_contacts_of_different_sources_with_one_id_are_two() -> None:
    store = MemoryStore()
    other = QUEUE_LOG._replace(name="another")
    await MemoryIngest(QUEUE_LOG, store).take(*CALL[:2])
    (event,) = calls(await MemoryIngest(other, store).take(CALL[2]))
    assert data(event)["version"] == 1


@pytest.mark.parametrize(("late_ms", "reasons"), [(5 * MINUTE, []), (5 * MINUTE + 1, ["future"])])
async def test_what_happens_after_its_record_came_is_refused(late_ms: int, reasons: list[str]) -> None:
    for source, payload in ((DELIGHTED, answer(1)), (QUEUE_LOG, line(0, "c1", "ABANDON", 1, 1, 10))):
        intake = MemoryIngest(source)
        published = await intake.take(payload, at=START - late_ms)
        assert bool(published) != bool(reasons)
        assert [why.reason for _, why in intake.letters.letters] == reasons


async def test_an_event_that_cannot_be_assembled_is_a_letter_of_the_record_that_came_last() -> None:
    def assemble(notes: Any, options: Any) -> list[OutgoingEvent]:
        return [OutgoingEvent("call-completed", {"contact_id": "c"})] if len(notes) == 2 else []

    intake = MemoryIngest(said_by(assemble))
    assert await intake.take(b'{"at": 1}', b'{"at": 2}') == []
    assert [(record.offset, why.reason) for record, why in intake.letters.letters] == [(1, "no-time")]
    assert await intake.results() == {"applied": 1, "rejected": 1}


def said_by(assemble: Any) -> SourceAdapter:
    """A source of one contact, whose fragments differ only in time."""

    def read(payload: Any, options: Any) -> list[Fragment]:
        return [Fragment("c", "said", payload["at"], {})]

    return SourceAdapter("mouth", "", "", read, assemble)


def said(at: int) -> bytes:
    return json.dumps({"at": at}).encode()


async def test_beyond_the_most_notes_the_earliest_stay_and_the_version_still_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assembly, "MAX_FRAGMENTS", 3)

    def assemble(notes: Any, options: Any) -> list[OutgoingEvent]:
        times = [note.at for note in notes]
        return [OutgoingEvent("call-completed", {"contact_id": str(times), "ended_at": 1})]

    intake = MemoryIngest(said_by(assemble))
    found = [data((await intake.take(said(at)))[0]) for at in (5, 4, 3, 2, 9)]
    assert [(one["contact_id"], one["version"]) for one in found] == [
        ("[5]", 1),
        ("[4, 5]", 2),
        ("[3, 4, 5]", 3),
        ("[2, 3, 4]", 4),
        ("[2, 3, 4]", 5),
    ]
    assert (await intake.store.counters())["notes_dropped"] == 2


@given(st.permutations([said(at) for at in range(6)]))
def test_which_notes_stay_does_not_depend_on_the_order(order: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "MAX_FRAGMENTS", 3)
        store = MemoryStore()
        at_once(MemoryIngest(said_by(lambda notes, options: []), store).take(*order[:4]))
        at_once(MemoryIngest(said_by(lambda notes, options: []), store, number=1).take(*order[4:]))
    (kept,) = [decode_assembly(packed) for packed in store.documents.values()]
    assert [note.at for note in kept.notes] == [0, 1, 2]
    assert kept.version == 6


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=20, deadline=None)
@given(payloads=st.lists(_JSON | st.binary(max_size=40), min_size=1, max_size=5))
def test_whatever_comes_in_is_accounted_for(name: str, payloads: list[bytes]) -> None:
    intake = MemoryIngest(SOURCES[name])
    at_once(intake.take(*payloads))
    assert sum(at_once(intake.results()).values()) == len(payloads)
    assert at_once(intake.results()).get("rejected", 0) == len(intake.letters.letters)


async def test_the_customer_is_veiled_before_anything_is_kept_or_published() -> None:
    store = MemoryStore()
    intake = MemoryIngest(
        QUEUE_LOG, store, Enricher(Pseudonymizer({"k": b"secret"}, "k"), AgentDirectory({}))
    )
    await intake.take(*CALL)
    key = assembly_key("asterisk-queue-log", "c1")
    assert len(store.documents) == 3  # the call, the agent, and who is under way
    kept = decode_assembly(store.documents[key])
    assert isinstance(kept, ContactAssembly)
    name = kept.notes[0].data["customer_id"]
    assert name.startswith("~k~")
    event = calls(intake.published.events)[-1]
    assert data(event)["customer_id"] == name
    assert event.key == name.encode()
    assert not [stored for stored in store.documents.values() if b"5550100200" in stored]


async def test_a_comment_goes_out_scrubbed_and_an_event_with_the_team_of_its_agent() -> None:
    directory = AgentDirectory({"SIP/17": [TeamMembership("red", "madrid")]})
    finish = Enricher(Pseudonymizer({}, ""), directory)
    (survey,) = await MemoryIngest(DELIGHTED, finish=finish).take(
        answer(1, comment="so slow, call 600 555 666")
    )
    assert data(survey)["comment"] == "so slow, call [phone]"
    call = calls(await MemoryIngest(QUEUE_LOG, finish=finish).take(*CALL))[-1]
    assert (data(call)["team"], data(call)["site"]) == ("red", "madrid")


def activity(second: int, name: str) -> bytes:
    event = {"EventType": "worker.activity.update", "Timestamp": S + second, "WorkerName": "17"}
    return json.dumps(event | {"WorkerActivityName": name}).encode()


async def test_states_are_published_again_from_the_earliest_that_came_late() -> None:
    intake = MemoryIngest(SOURCES["twilio"])
    first = await intake.take(activity(-90, "Available"), activity(-50, "Lunch"))
    later = await intake.take(activity(-70, "Break"), activity(-10, "Available"), activity(-50, "Lunch"))
    told = [
        (data(event)["at"] - S, data(event)["state"], data(event)["version"]) for event in [*first, *later]
    ]
    assert told == [
        (-90, "available", 1),
        (-50, "away", 2),
        (-70, "away", 2),
        (-50, "away", 3),
        (-10, "available", 4),
    ]
    assert await intake.take(activity(-70, "Break")) == []
    assert await intake.results() == {"applied": 4, "unchanged": 2}
