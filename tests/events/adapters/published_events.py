"""Run payloads through a source: the events published after each, and the latest facts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.adapters.source import (
    Fragment,
    OutgoingEvent,
    SourceAdapter,
    read_payload,
)
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, assemble_events

Facts = dict[tuple[str, str], dict[str, Any]]


STATES = (CONTACT_STATE, AGENT_STATE)


def published_events(
    source: SourceAdapter, payloads: Iterable[bytes | str], options: Mapping[str, Any] | None = None
) -> list[OutgoingEvent]:
    """Return the events published on the way, but no states: after each fragment, those of its contact."""
    return [event for event in _all_published(source, payloads, options) if event.topic not in STATES]


def published_states(
    source: SourceAdapter, payloads: Iterable[bytes | str], options: Mapping[str, Any] | None = None
) -> list[OutgoingEvent]:
    """Return the states published on the way."""
    return [event for event in _all_published(source, payloads, options) if event.topic in STATES]


def _all_published(
    source: SourceAdapter, payloads: Iterable[bytes | str], options: Mapping[str, Any] | None
) -> list[OutgoingEvent]:
    events: list[OutgoingEvent] = []
    notes: dict[str, list[Fragment]] = {}
    for payload in payloads:
        for item in read_payload(source, payload, options or {}):
            if isinstance(item, Fragment):
                notes.setdefault(item.contact, []).append(item)
                events += assemble_events(source, notes[item.contact], options or {})
            else:
                assert isinstance(item, OutgoingEvent), item
                events.append(item)
    return events


def latest_facts(events: Iterable[OutgoingEvent]) -> Facts:
    """Return the newest version of every fact, as the pipeline keeps it."""
    facts: Facts = {}
    for event in events:
        fact = event.topic, _identity(event.data)
        earlier = facts.get(fact)
        if earlier is not None and earlier["version"] == event.data["version"]:
            assert earlier == event.data
        if earlier is None or earlier["version"] <= event.data["version"]:
            facts[fact] = dict(event.data)
    return facts


def _identity(data: Mapping[str, Any]) -> str:
    fact_id = next(data[name] for name in ("segment_id", "contact_id", "response_id") if name in data)
    return str(fact_id)


def latest_data(
    source: SourceAdapter, payloads: Sequence[bytes | str], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the latest data of each fact, in the order of first publication."""
    return list(latest_facts(published_events(source, payloads, options)).values())
