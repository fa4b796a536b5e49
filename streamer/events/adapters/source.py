"""Interface of source adapters, which turn one source's payloads into contract events.

An adapter is pure. It knows no clock, no network and no key: what it reads depends only on the payload and
on the options of `[sources.NAME]`, so that the same payload always gives the same result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from streamer.events.envelopes import InvalidEventError, decode_json_object
from streamer.events.models import RejectedEvent

if TYPE_CHECKING:
    from streamer.events.adapters.timelines import AgentMoment

LONGEST_KEY: Final = 256
_encode = msgspec.json.Encoder(order="deterministic").encode

Options = Mapping[str, Any]


class OutgoingEvent(msgspec.Struct, frozen=True):
    """An event to publish: a topic of the contract, and the event's data.

    The data are JSON values; times are RFC 3339 with a zone, or epoch seconds; unknown fields are absent,
    never None.
    """

    topic: str
    data: Mapping[str, Any]


class Fragment(msgspec.Struct, frozen=True, array_like=True):
    """A raw event's part of a contact that is assembled from several.

    `contact` is the contact's id, `at` the time in ms since the epoch; `data` has JSON values. Equal
    fragments count as one.
    """

    contact: str
    kind: str
    at: int
    data: dict[str, Any]

    def encode(self) -> bytes:
        """Encode as JSON; equal fragments give equal bytes."""
        return _encode(self)


PayloadItem = OutgoingEvent | Fragment | RejectedEvent


class SourceAdapter(NamedTuple):
    """Adapter of one source. `form`: a payload is a JSON object, or a line of text.

    `read` takes a payload (a dict, or a str without its line end) and the options in force, and yields
    its events and fragments: none for a payload of no interest. It may raise InvalidEventError, nothing
    else. `assemble`, of sources with fragments, takes all fragments of one contact and yields the events to
    publish. The fragments are distinct and sorted by (at, kind, encoding), in whatever order they arrived.
    `timelines.assemble_events` gives each event the number of fragments as its version.
    """

    name: str
    title: str
    help: str
    read: Callable[[Any, Options], Iterable[PayloadItem]]
    assemble: Callable[[Sequence[Fragment], Options], Iterable[OutgoingEvent]] | None = None
    contact_states: Callable[[Sequence[Fragment], Options], Iterable[OutgoingEvent]] | None = None
    """Yields the states (`contact-state`) of a contact from its fragments, as `assemble` takes them. What it
    yields for a moment depends on the fragments up to it only; it adds no version."""
    agent_state: Callable[["AgentMoment", Options], Mapping[str, Any] | None] | None = None
    """Returns the state (`agent-state` without agent_id, at and version) of an agent at a moment, or None if
    unknown; an agent's fragments are made by `timelines.agent_fragment`."""
    form: Literal["object", "line"] = "object"
    options: Mapping[str, Any] = {}
    """Defaults by name; a setting of another name is refused. `help` explains each."""
    sweeps: bool = False
    """Whether `read` yields fragments that concern everyone (`timelines.sweep_fragment`)."""
    minor_kinds: frozenset[str] = frozenset()
    """Kinds of fragments that a contact may have without limit, such as offers: of them fewer are kept."""
    event_names: Mapping[str, str] = {}
    """Every event name of the source: what it is read as, or "not read: " and why."""

    @property
    def assembles(self) -> bool:
        """Tell whether payloads may have fragments, whose events need other payloads too."""
        return any((self.assemble, self.contact_states, self.agent_state))


_OPTION_KINDS: Final = (bool, (int, float), str, Mapping, (list, tuple))


def invalid_option(source: SourceAdapter, options: Options) -> str | None:
    """Return the name of an option of another type than its default, or None if all types fit.

    >>> source = SourceAdapter("acme", "", "", read=list, options={"least_digits": 7})
    >>> invalid_option(source, {"least_digits": "seven"})
    'least_digits'
    """
    for name, value in options.items():
        kind = next((kind for kind in _OPTION_KINDS if isinstance(source.options[name], kind)), object)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            return name
    return None


def read_payload(source: SourceAdapter, payload: bytes | str, options: Options) -> list[PayloadItem]:
    """Read a raw payload of a source. Never raises: unreadable bytes give a RejectedEvent.

    Options that are not given have the source's defaults.

    >>> def start(line, options):
    ...     yield Fragment(line, "start", 0, {})
    >>> source = SourceAdapter("acme", "", "", start, form="line")
    >>> [item.contact for item in read_payload(source, b"c-81231\\n", {})]
    ['c-81231']
    >>> [(item.reason, item.error) for item in read_payload(source, b"\\xff", {})]
    [('not-json', 'the payload is not UTF-8 from byte 0 on')]
    """
    try:
        items = list(source.read(_parse_payload(source, payload), {**source.options, **options}))
        for item in items:
            if isinstance(item, Fragment):
                _check_key(item.contact)
        return items
    except InvalidEventError as error:
        return [RejectedEvent(error.reason, error.error)]


def _check_key(contact: str) -> None:
    if not 0 < len(contact) <= LONGEST_KEY:
        raise InvalidEventError(
            "too-long", f"the contact's id has {len(contact)} characters, expected 1 to {LONGEST_KEY}"
        )


def _parse_payload(source: SourceAdapter, payload: bytes | str) -> Any:
    try:
        text = payload if isinstance(payload, str) else payload.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("not-json", f"the payload is not UTF-8 from byte {error.start} on") from None
    if source.form == "line":
        return text.rstrip("\r\n")
    return decode_json_object(text, "payload")
