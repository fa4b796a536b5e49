"""Read rows that are contract events already: bare data, CloudEvents, or the output of `--dry-run`."""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from streamer.events.adapters.source import Sent
from streamer.events.decoding import TOPICS, Record
from streamer.events.envelopes import WrongError, unwrap
from streamer.events.forms import ENVELOPE, FORMS, CallCompleted
from streamer.events.models import Rejected
from streamer.replay.facts import Fact
from streamer.replay.usage import WrongUseError

_FIELDS: Final = {topic: frozenset(form.__struct_fields__) - ENVELOPE for topic, form in FORMS.items()}
_TYPE = re.compile(rf"(?:.*[./])?({'|'.join(TOPICS)})(?:[./]v?\d+)?")
_HOW: Final = f"add --topic, one of {', '.join(TOPICS)}"
_ANY = msgspec.json.Decoder(CallCompleted)


def telling() -> Mapping[str, str]:
    """Return the topic of each field that only one topic has."""
    owners = [(name, topic) for topic, names in _FIELDS.items() for name in names]
    names = [name for name, _ in owners]
    return {name: topic for name, topic in owners if names.count(name) == 1}


_TELLING: Final = telling()


@lru_cache(maxsize=1024)
def topic_by(names: tuple[str, ...]) -> str:
    """Return the only topic that has these fields. Raises WrongError if none or several do.

    >>> topic_by(("contact_id", "queue", "ended_at", "outcome"))
    'call-completed'
    >>> topic_by(("customer_id", "value", "as_of"))
    'customer-valued'
    """
    found = {_TELLING[name] for name in names if name in _TELLING}
    if len(found) == 1:
        return found.pop()
    if not found:
        raise WrongError("missing", f"no field identifies the topic; {_HOW}")
    raise WrongError("missing", f"the fields belong to {' and '.join(sorted(found))}; {_HOW}")


def check_topic(name: str) -> str:
    """Return the topic's name. Raises ReplayUsageError if there is no such topic."""
    if name not in TOPICS:
        raise WrongUseError(f"topic {name!r}: expected one of {', '.join(TOPICS)}")
    return name


class Contract:
    """Reader of contract events. Without `topic`, each row identifies its own."""

    def __init__(self, topic: str | None = None) -> None:
        self._topic = None if topic is None else check_topic(topic)

    def read(self, line: bytes) -> Fact | Rejected:
        try:
            return self._fact(line, _object(line))
        except WrongError as error:
            return Rejected(error.reason, error.error)

    def _fact(self, line: bytes, body: dict[str, Any]) -> Fact:
        if body.get("specversion") is not None:
            return self._cloud_event(line, body)
        named = body.pop("topic", None)
        topic = self._topic or (None if named is None else _known(named))
        if topic is not None and isinstance(body.get("data"), dict) and not _FIELDS[topic] & body.keys():
            return Fact(_source(body.get("source")), Sent(topic, body["data"]))
        return Fact("", Sent(topic or topic_by(tuple(body)), body))

    def _cloud_event(self, line: bytes, body: Mapping[str, Any]) -> Fact:
        source, _ = unwrap(Record("", 0, 0, 0, None, line, ()), _ANY)
        data = body.get("data")
        if data is None:
            data = _object(base64.b64decode(body["data_base64"]))
        if not isinstance(data, dict):
            raise WrongError("wrong-type", "data is not a JSON object")
        return Fact(source, Sent(self._topic or _of_type(body["type"], data), data))


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except UnicodeDecodeError as error:
        raise WrongError("not-json", f"the line is not UTF-8 at byte {error.start}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise WrongError("not-json", f"{error or 'nested too deeply'}, expected a JSON object") from None
    if not isinstance(found, dict):
        raise WrongError("wrong-type", "the line is not a JSON object")
    return found


def _known(topic: Any) -> str:
    if topic not in TOPICS:
        raise WrongError("unknown-value", f"topic is unknown, expected one of {', '.join(TOPICS)}")
    return str(topic)


def _source(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise WrongError("wrong-type", "source is not a string")


def _of_type(type_: str, data: Mapping[str, Any]) -> str:
    """Return the topic of `streamer.call-completed.v1` or of any type that ends in a topic's name; else the
    fields decide."""
    found = _TYPE.fullmatch(type_)
    return topic_by(tuple(data)) if found is None else found[1]
