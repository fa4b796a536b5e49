"""Read rows that are contract events already: bare data, CloudEvents, or the output of `--dry-run`."""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.events.envelopes import InvalidEventError, decode_json_object, unwrap
from streamer.events.event_bodies import EventBody
from streamer.events.kinds import KINDS, KNOWN_FIELDS
from streamer.events.models import LIVE_KINDS, RejectedEvent
from streamer.replay.row_results import SourcedEvent
from streamer.replay.usage_error import ReplayUsageError
from streamer.runtime.choices import expected_choice

_FIELDS: Final = {topic: frozenset(kind.fields) for topic, kind in KINDS.items()}
_EVENT_TYPE = re.compile(rf"(?:.*[./])?({'|'.join(TOPICS)})(?:[./]v?\d+)?")
_TOPIC_HINT: Final = f"add --topic, one of {', '.join(TOPICS)}"
_DECODER = msgspec.json.Decoder(EventBody)


_STATE_TOPICS: Final = tuple(topic for topic, kind in KINDS.items() if kind.letter in LIVE_KINDS)
_STATE_FIELDS: Final = frozenset().union(*(_FIELDS[topic] for topic in _STATE_TOPICS))
_OTHER_TOPICS: Final = tuple(topic for topic in TOPICS if topic not in _STATE_TOPICS)
_OWN_STATE_FIELDS: Final = _STATE_FIELDS.difference(*(_FIELDS[topic] for topic in _OTHER_TOPICS))


def topics_by_unique_field() -> Mapping[str, str]:
    """Return the topic of each field that only one topic has, states of contacts and agents aside."""
    owners = [(name, topic) for topic in _OTHER_TOPICS for name in _FIELDS[topic]]
    names = [name for name, _ in owners]
    return {name: topic for name, topic in owners if names.count(name) == 1}


_TOPIC_BY_FIELD: Final = topics_by_unique_field()


@lru_cache(maxsize=1024)
def topic_of_fields(field_names: tuple[str, ...]) -> str:
    """Return the only topic that has these fields. Raises WrongError if none or several do.

    >>> topic_of_fields(("contact_id", "queue", "ended_at", "outcome"))
    'call-completed'
    >>> topic_of_fields(("customer_id", "value", "as_of"))
    'customer-valued'
    >>> topic_of_fields(("agent_id", "state", "at"))
    'agent-state'
    """
    unique_names = [name for name in field_names if name in _TOPIC_BY_FIELD]
    topics = {_TOPIC_BY_FIELD[name] for name in unique_names if name not in _STATE_FIELDS}
    topics = topics or _state_topics(frozenset(field_names))
    topics = topics or {_TOPIC_BY_FIELD[name] for name in unique_names}
    if len(topics) == 1:
        return topics.pop()
    if not topics:
        raise InvalidEventError("missing", f"no field identifies the topic; {_TOPIC_HINT}")
    raise InvalidEventError("missing", f"the fields belong to {' and '.join(sorted(topics))}; {_TOPIC_HINT}")


def _state_topics(names: frozenset[str]) -> set[str]:
    """Return the topics of states that have these fields and an id, those first whose required fields are
    named."""
    if not names & _OWN_STATE_FIELDS:
        return set()
    topics = {
        topic
        for topic in _STATE_TOPICS
        if names & KNOWN_FIELDS <= _FIELDS[topic] and not names.isdisjoint(KINDS[topic].ids)
    }
    return {topic for topic in topics if names.issuperset(KINDS[topic].required)} or topics


def check_topic_option(name: str) -> str:
    """Return the topic's name. Raises ReplayUsageError if there is no such topic."""
    if name not in TOPICS:
        raise ReplayUsageError(f"topic {name!r}: {expected_choice(name, TOPICS)}")
    return name


class ContractReader:
    """Reader of contract events. Without `topic`, each row identifies its own."""

    def __init__(self, topic: str | None = None) -> None:
        self._topic = None if topic is None else check_topic_option(topic)

    def read(self, line: bytes) -> SourcedEvent | RejectedEvent:
        try:
            return self._parse_event(line, decode_json_object(line, "line"))
        except InvalidEventError as error:
            return RejectedEvent(error.reason, error.error)

    def _parse_event(self, line: bytes, body: dict[str, Any]) -> SourcedEvent:
        if body.get("specversion") is not None:
            return self._parse_cloud_event(line, body)
        topic_name = body.pop("topic", None)
        topic = self._topic or (None if topic_name is None else _require_known_topic(topic_name))
        if topic is not None and isinstance(body.get("data"), dict) and not _FIELDS[topic] & body.keys():
            return SourcedEvent(_require_source(body.get("source")), OutgoingEvent(topic, body["data"]))
        return SourcedEvent("", OutgoingEvent(topic or topic_of_fields(tuple(body)), body))

    def _parse_cloud_event(self, line: bytes, body: Mapping[str, Any]) -> SourcedEvent:
        source, _ = unwrap(KafkaRecord("", 0, 0, 0, None, line, ()), _DECODER)
        data = body.get("data")
        if data is None:
            data = decode_json_object(base64.b64decode(body["data_base64"]), "line")
        if not isinstance(data, dict):
            raise InvalidEventError("wrong-type", "data is not a JSON object")
        return SourcedEvent(source, OutgoingEvent(self._topic or _topic_of_type(body["type"], data), data))


def _require_known_topic(topic: Any) -> str:
    if topic not in TOPICS:
        raise InvalidEventError("unknown-value", f"topic is unknown, expected one of {', '.join(TOPICS)}")
    return str(topic)


def _require_source(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise InvalidEventError("wrong-type", "source is not a string")


def _topic_of_type(type_: str, data: Mapping[str, Any]) -> str:
    """Return the topic of `streamer.call-completed.v1` or of any type that ends in a topic's name; else the
    fields decide."""
    match = _EVENT_TYPE.fullmatch(type_)
    return topic_of_fields(tuple(data)) if match is None else match[1]
