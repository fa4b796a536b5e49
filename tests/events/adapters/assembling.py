"""Run payloads through a source: the events published after each, and the latest facts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.adapters.source import Note, Sent, Source, known, read

Facts = dict[tuple[str, str], dict[str, Any]]


def published(
    source: Source, payloads: Iterable[bytes | str], options: Mapping[str, Any] | None = None
) -> list[Sent]:
    """Return all events published on the way: after each fragment, those of its contact so far."""
    found: list[Sent] = []
    notes: dict[str, list[Note]] = {}
    for payload in payloads:
        for item in read(source, payload, options or {}):
            if isinstance(item, Note):
                notes.setdefault(item.contact, []).append(item)
                found += known(source, notes[item.contact], options or {})
            else:
                assert isinstance(item, Sent), item
                found.append(item)
    return found


def applied(found: Iterable[Sent]) -> Facts:
    """Return the newest version of every fact, as the pipeline keeps it."""
    facts: Facts = {}
    for sent in found:
        fact = sent.topic, _identity(sent.data)
        before = facts.get(fact)
        if before is not None and before["version"] == sent.data["version"]:
            assert before == sent.data
        if before is None or before["version"] <= sent.data["version"]:
            facts[fact] = dict(sent.data)
    return facts


def _identity(data: Mapping[str, Any]) -> str:
    found = next(data[name] for name in ("segment_id", "contact_id", "response_id") if name in data)
    return str(found)


def data_of(
    source: Source, payloads: Sequence[bytes | str], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the latest data of each fact, in the order of first publication."""
    return list(applied(published(source, payloads, options)).values())
