"""Here is what becomes of payloads as they come in: what is published after each, and what then holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.adapters.source import Note, Sent, Source, known, read

Facts = dict[tuple[str, str], dict[str, Any]]


def published(
    source: Source, payloads: Iterable[bytes | str], options: Mapping[str, Any] | None = None
) -> list[Sent]:
    """All that is published on the way: after each note what is known of its contact by then."""
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
    """The newest version of every fact, as the pipeline keeps it."""
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
    """What holds in the end, in the order in which it was first published."""
    return list(applied(published(source, payloads, options)).values())
