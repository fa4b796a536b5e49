"""Tests of every known source: nonsense is refused with a reason, sense comes out in the readings,
and its page tells people what they need."""

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from random import Random

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import (
    Fragment,
    OutgoingEvent,
    SourceAdapter,
    read_payload,
)
from streamer.events.adapters.timelines import assemble_events
from streamer.events.counting_rules import HOUR, CountingRules
from streamer.events.decoding import REASONS, KafkaRecord, decode
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import outgoing_record
from streamer.ingest.assembly import ContactAssembly, decode_assembly, encode_assembly
from tests.events.adapters import fuzzing, sample_payloads
from tests.events.adapters.end_to_end import counted_reader, published_records, read_figures

every_source = pytest.mark.parametrize("name", SOURCES)


def test_these_are_the_known_sources() -> None:
    assert sorted(SOURCES) == [
        "amazon-connect",
        "amazon-connect-events",
        "amazon-connect-survey",
        "asterisk-ami",
        "asterisk-queue-log",
        "chatwoot",
        "delighted",
        "formbricks",
        "freeswitch",
        "genesys-cloud",
        "help-scout",
        "twilio",
        "wootric",
        "zendesk",
    ]


# Nonsense.

TIMES = 10_000
TOGETHER = 20
"""Payloads whose notes are assembled with each other; more only make the same contacts larger."""
RULES = CountingRules()


@every_source
def test_of_10_000_spoiled_payloads_each_is_refused_with_a_reason_or_accepted(name: str) -> None:
    source, found = SOURCES[name], Counter[str]()
    spoiled = fuzzing.nonsense_payloads(1, sample_payloads.sample_lines(name), source.form, TIMES)
    for chunk in _chunks(spoiled, TOGETHER):
        said = [
            item
            for payload in chunk
            for item in read_payload(source, payload, sample_payloads.sample_options(name))
        ]
        for item in said:
            if isinstance(item, RejectedEvent):
                _has_a_reason_and_nothing_personal(item)
                found["refused"] += 1
        sent = [item for item in said if isinstance(item, OutgoingEvent)]
        for one in [*sent, *_assembled(source, [item for item in said if isinstance(item, Fragment)])]:
            found["counted" if _is_counted(one, name) else "not counted"] += 1
    # Else this would be a test of noise: what is refused for its first byte, or hardly changed.
    assert found["refused"] >= TIMES / 10, found
    assert found["counted"] >= TIMES / 50, found


def _chunks(payloads: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while chunk := [payload for _, payload in zip(range(size), payloads, strict=False)]:
        yield chunk


def _has_a_reason_and_nothing_personal(refused: RejectedEvent) -> None:
    assert refused.reason in REASONS
    assert not [trace for trace in fuzzing.TRACES if trace in refused.error], refused.error


def _assembled(source: SourceAdapter, notes: Sequence[Fragment]) -> Iterable[OutgoingEvent]:
    """Assemble by contact, from fragments as the worker keeps them; fail if the reverse order differs."""
    contacts: dict[str, list[Fragment]] = {}
    for note in notes:
        contacts.setdefault(note.contact, []).append(note)
    for own in contacts.values():
        kept = decode_assembly(encode_assembly(ContactAssembly(tuple(own)))).notes
        found = assemble_events(source, kept, sample_payloads.sample_options(source.name))
        assert found == assemble_events(
            source, [*own[::-1], *own], sample_payloads.sample_options(source.name)
        )
        yield from found


def _is_counted(sent: OutgoingEvent, name: str) -> bool:
    record = outgoing_record(sent, name)
    if isinstance(record, RejectedEvent):
        _has_a_reason_and_nothing_personal(record)
        return False
    came = KafkaRecord(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers)
    fact = decode(came, RULES)
    if isinstance(fact, RejectedEvent):
        assert fact.reason in REASONS
    return not isinstance(fact, RejectedEvent)


# The whole way to readings. The figures are counted by hand from the payloads of each source's own tests:
# value and sample size.

COUNTS = ("contacts", "offered", "answered", "abandoned", "callbacks", "outbound")
CONTACTS = {  # in the order of COUNTS
    "amazon-connect": (3, 4, 3, 1, 1, 1),
    "amazon-connect-events": (2, 3, 3, 0, 1, 0),
    "genesys-cloud": (2, 3, 2, 1, 0, 0),
    "twilio": (1, 3, 2, 1, 0, 0),
    "asterisk-queue-log": (2, 3, 2, 1, 0, 0),
    "asterisk-ami": (2, 3, 2, 1, 0, 0),
    "freeswitch": (2, 3, 1, 1, 0, 0),
}
TIMES_OF = ("wait_time_seconds", "talk_time_seconds", "hold_time_seconds", "acw_time_seconds")
UNKNOWN = (None, 0)
SECONDS = {  # in the order of TIMES_OF; where a source does not tell, there is no 0
    "amazon-connect": ((27.5, 2), (360, 3), (30, 3), (30, 3)),
    "amazon-connect-events": ((19.625, 2), UNKNOWN, (12, 1), (30, 1)),
    "genesys-cloud": ((22.75, 2), (417.25, 2), (30, 1), (25, 1)),
    "twilio": ((21.25, 2), UNKNOWN, UNKNOWN, (34.5, 2)),
    "asterisk-queue-log": ((9.5, 2), (90, 2), UNKNOWN, UNKNOWN),
    "asterisk-ami": ((9.5, 2), (90, 2), UNKNOWN, UNKNOWN),
    "freeswitch": ((12, 1), (60, 1), UNKNOWN, UNKNOWN),
}
TRANSFERRED = {
    "amazon-connect": (1 / 3, 3),
    "amazon-connect-events": (1 / 3, 3),
    "genesys-cloud": (1 / 2, 2),
    "twilio": (1 / 2, 2),
    "asterisk-queue-log": (1 / 2, 2),
    "asterisk-ami": (1 / 2, 2),
    "freeswitch": (1, 1),
}
SCORES = ("nps_score", "csat_mean", "fcr_survey_ratio")
ANSWERS = {  # in the order of SCORES, after the number of surveys answered
    "amazon-connect-survey": (3, (0, 2), UNKNOWN, (1, 3)),
    "formbricks": (1, (100, 1), UNKNOWN, (1, 1)),
    "delighted": (1, (100, 1), UNKNOWN, UNKNOWN),
    "wootric": (1, (100, 1), UNKNOWN, UNKNOWN),
    "zendesk": (2, UNKNOWN, (2, 1), (1, 1)),
    "chatwoot": (2, UNKNOWN, (4.5, 2), UNKNOWN),
    "help-scout": (3, (100, 1), UNKNOWN, (1, 1)),
}


def test_every_source_has_its_expected_figures() -> None:
    assert CONTACTS.keys() | ANSWERS.keys() == SOURCES.keys()
    assert CONTACTS.keys() == SECONDS.keys() == TRANSFERRED.keys()


async def _figures(name: str, payloads: Sequence[str]) -> dict[str, tuple[float | None, int]]:
    log = published_records(name, payloads)
    now = max(record.timestamp for record in log) + HOUR
    return dict(read_figures(await counted_reader(log), now))


@every_source
async def test_payloads_come_out_in_the_readings(name: str) -> None:
    found = await _figures(name, sample_payloads.sample_lines(name))
    counts = CONTACTS.get(name, (0,) * len(COUNTS))
    assert tuple(found[metric][0] for metric in COUNTS) == counts
    assert tuple(found[metric] for metric in TIMES_OF) == SECONDS.get(name, (UNKNOWN,) * len(TIMES_OF))
    assert found["transfer_ratio"] == TRANSFERRED.get(name, UNKNOWN)
    surveys, *scores = ANSWERS.get(name, (0, *(UNKNOWN,) * len(SCORES)))
    assert found["surveys"][0] == surveys
    assert [found[metric] for metric in SCORES] == scores


@every_source
async def test_delivered_three_times_and_shuffled_they_read_the_same(name: str) -> None:
    payloads = sample_payloads.sample_lines(name) * 3
    Random(2).shuffle(payloads)
    assert await _figures(name, payloads) == await _figures(name, sample_payloads.sample_lines(name))


# What people are told.


@every_source
def test_a_source_is_called_as_its_file(name: str) -> None:
    assert SOURCES[name].name == name
    assert inspect.getmodule(SOURCES[name].read).__name__.endswith("." + name.replace("-", "_"))  # type: ignore[union-attr]


@every_source
def test_its_help_is_a_page_that_fits_a_terminal(name: str) -> None:
    lines = SOURCES[name].help.splitlines()
    assert 15 <= len(lines) <= 70
    assert [line for line in lines if len(line) > 100] == []
    assert [line for line in lines if line != line.rstrip() or "\t" in line] == []


@every_source
def test_its_help_names_every_option(name: str) -> None:
    assert [option for option in SOURCES[name].options if option not in SOURCES[name].help] == []


@every_source
def test_it_assembles_if_it_sends_fragments(name: str) -> None:
    source, payloads = SOURCES[name], sample_payloads.sample_lines(name)
    said = [
        item
        for payload in payloads
        for item in read_payload(source, payload, sample_payloads.sample_options(name))
    ]
    assert source.assembles == any(isinstance(item, Fragment) for item in said)
