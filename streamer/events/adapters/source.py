"""Here is what an adapter is: how one source's payloads become events of the contract.

An adapter is pure. It knows no clock, no network and no key: what it reads depends on the payload and on
the options of `[sources.NAME]` alone, so that the same payload always says the same.
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
    """An event as it is to be published: a topic of the contract, and the data as the contract has it
    (JSON values; times as RFC 3339 with zone or epoch seconds; unknown fields absent, never None)."""

    topic: str
    data: Mapping[str, Any]


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What one raw event says of a contact that takes several to know. `contact` names whose note it is;
    `at` is its time in ms since the epoch; `data` has JSON values. Equal notes are one note."""

    contact: str
    kind: str
    at: int
    data: dict[str, Any]

    def written(self) -> bytes:
        """The same bytes for equal notes."""
        return _encode(self)


Read = Sent | Note | Rejected


class Source(NamedTuple):
    """One source. `form`: a payload is a JSON object, or a line of text.

    `read` takes a payload (a dict, or a str without its line end) and the options in force, and yields
    what it says: nothing where it is of no concern here. It may raise WrongError, nothing else.
    `assemble`, of sources that send notes: what is to be published by what is known of one contact. The
    notes are all different and sorted by (at, kind, written form), however they came. The more notes,
    the more is known: `known` gives each event a version by their number.
    """

    name: str
    title: str
    help: str
    read: Callable[[Any, Options], Iterable[Read]]
    assemble: Callable[[Sequence[Note], Options], Iterable[Sent]] | None = None
    form: Literal["object", "line"] = "object"
    options: Mapping[str, Any] = {}
    """Defaults by name; a setting of another name is refused. What each means is said in `help`."""


_KINDS: Final = (bool, (int, float), str, Mapping, (list, tuple))


def unfit(source: Source, options: Options) -> str | None:
    """An option that is of another kind than its default, a number where a text is expected for one; None
    where all may be used."""
    for name, value in options.items():
        kind = next((kind for kind in _KINDS if isinstance(source.options[name], kind)), object)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            return name
    return None


def read(source: Source, payload: bytes | str, options: Options) -> list[Read]:
    """What a raw payload says. Never raises, whatever the bytes: what cannot be read is Rejected. Options
    that are not given are the source's own."""
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
        raise WrongError("wrong-type", "the payload is no JSON object")
    return found


def known(source: Source, notes: Iterable[Note], options: Options) -> list[Sent]:
    """What is to be published of one contact, from all its notes in any order and however often. Each event
    has the number of different notes as its version: what more notes say replaces what fewer said."""
    assert source.assemble is not None
    different = {note.written(): note for note in notes}
    ordered = sorted(different.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
    found = source.assemble([note for _, note in ordered], {**source.options, **options})
    return [Sent(sent.topic, {**sent.data, "version": len(different)}) for sent in found]
