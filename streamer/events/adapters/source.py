"""Interface of source adapters, which turn one source's payloads into contract events.

An adapter is pure. It knows no clock, no network and no key: what it reads depends only on the payload and
on the options of `[sources.NAME]`, so that the same payload always gives the same result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected

LONGEST_KEY: Final = 256
_encode = msgspec.json.Encoder(order="deterministic").encode

Options = Mapping[str, Any]


class Sent(msgspec.Struct, frozen=True):
    """An event to publish: a topic of the contract, and the event's data.

    The data are JSON values; times are RFC 3339 with a zone, or epoch seconds; unknown fields are absent,
    never None.
    """

    topic: str
    data: Mapping[str, Any]


class Note(msgspec.Struct, frozen=True, array_like=True):
    """A raw event's part of a contact that is assembled from several.

    `contact` is the contact's id, `at` the time in ms since the epoch; `data` has JSON values. Equal
    fragments count as one.
    """

    contact: str
    kind: str
    at: int
    data: dict[str, Any]

    def written(self) -> bytes:
        """Encode as JSON; equal fragments give equal bytes."""
        return _encode(self)


Read = Sent | Note | Rejected


class Source(NamedTuple):
    """Adapter of one source. `form`: a payload is a JSON object, or a line of text.

    `read` takes a payload (a dict, or a str without its line end) and the options in force, and yields
    its events and fragments: none for a payload of no interest. It may raise InvalidEventError, nothing
    else. `assemble`, of sources with fragments, takes all fragments of one contact and yields the events to
    publish. The fragments are distinct and sorted by (at, kind, encoding), in whatever order they arrived.
    `assemble_events` gives each event the number of fragments as its version.
    """

    name: str
    title: str
    help: str
    read: Callable[[Any, Options], Iterable[Read]]
    assemble: Callable[[Sequence[Note], Options], Iterable[Sent]] | None = None
    form: Literal["object", "line"] = "object"
    options: Mapping[str, Any] = {}
    """Defaults by name; a setting of another name is refused. `help` explains each."""


_KINDS: Final = (bool, (int, float), str, Mapping, (list, tuple))


def unfit(source: Source, options: Options) -> str | None:
    """Return the name of an option of another type than its default, or None if all types fit.

    >>> source = Source("acme", "", "", read=list, options={"least_digits": 7})
    >>> unfit(source, {"least_digits": "seven"})
    'least_digits'
    """
    for name, value in options.items():
        kind = next((kind for kind in _KINDS if isinstance(source.options[name], kind)), object)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            return name
    return None


def read(source: Source, payload: bytes | str, options: Options) -> list[Read]:
    """Read a raw payload of a source. Never raises: unreadable bytes give a RejectedEvent.

    Options that are not given have the source's defaults.

    >>> def start(line, options):
    ...     yield Note(line, "start", 0, {})
    >>> source = Source("acme", "", "", start, form="line")
    >>> [item.contact for item in read(source, b"c-81231\\n", {})]
    ['c-81231']
    >>> [(item.reason, item.error) for item in read(source, b"\\xff", {})]
    [('not-json', 'the payload is not UTF-8 from byte 0 on')]
    """
    try:
        found = list(source.read(_parsed(source, payload), {**source.options, **options}))
        for note in found:
            if isinstance(note, Note):
                _check_key(note.contact)
        return found
    except WrongError as error:
        return [Rejected(error.reason, error.error)]


def _check_key(contact: str) -> None:
    if not 0 < len(contact) <= LONGEST_KEY:
        raise WrongError(
            "too-long", f"the contact's id has {len(contact)} characters, expected 1 to {LONGEST_KEY}"
        )


def _parsed(source: Source, payload: bytes | str) -> Any:
    try:
        text = payload if isinstance(payload, str) else payload.decode()
    except UnicodeDecodeError as error:
        raise WrongError("not-json", f"the payload is not UTF-8 from byte {error.start} on") from None
    if source.form == "line":
        return text.rstrip("\r\n")
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WrongError("not-json", f"{error or 'nested too deeply'}, expected a JSON object") from None
    if not isinstance(found, dict):
        raise WrongError("wrong-type", "the payload is not a JSON object")
    return found


def known(source: Source, notes: Iterable[Note], options: Options) -> list[Sent]:
    """Return the events to publish for one contact, from all its fragments in any order, repeated or not.

    The version of each event is the number of distinct fragments, so that events from more fragments
    replace events from fewer.
    """
    assert source.assemble is not None
    different = {note.written(): note for note in notes}
    ordered = sorted(different.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
    found = source.assemble([note for _, note in ordered], {**source.options, **options})
    return [Sent(sent.topic, {**sent.data, "version": len(different)}) for sent in found]
