"""Facts: the normal form of every event that streamer counts.

Times are integer milliseconds since the epoch, durations integer milliseconds, money integer
hundredths, QA scores integer hundredths of a point. None means unknown, never 0 and never "".
The same structs are what a journey keeps, as msgpack arrays: fields may be added at the end only.
"""

import hashlib
from typing import ClassVar, NamedTuple

import msgspec
from msgspec.structs import astuple

CHANNELS = ("voice", "chat", "email", "sms", "social", "video", "message", "task", "callback", "other")
SLOW_CHANNELS = ("email", "message", "task")
"""Channels whose contacts may take days: their states may come late."""
OUTCOMES = ("answered", "abandoned", "timeout", "voicemail", "overflow", "callback")
TRANSFERS = ("none", "agent", "queue", "external")
DIRECTIONS = ("inbound", "outbound")
CONTACT_STATES = ("queued", "offered", "connected", "held", "wrap_up", "ended")
AGENT_STATES = ("available", "offered", "busy", "held", "wrap_up", "away", "offline")
QUESTIONS = ("nps", "csat", "ces", "effort", "cnx", "resolved_first")
DIMENSIONS = ("site", "queue", "team", "agent", "channel", "reason", "language")

_canonical_encoder = msgspec.msgpack.Encoder()


class FactIdentity(NamedTuple):
    """Key of a fact: two events with equal keys state the same fact.

    `kind` is s for a segment, v survey, r response, e evaluation, c customer value, l state of a contact,
    a state of an agent.
    """

    kind: str
    source: str
    id: str


class BaseFact(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """Fields of every fact. Of two facts with equal versions the one with the greater `digest()` holds."""

    kind: ClassVar[str]
    added_fields: ClassVar[int] = 0
    """Number of last fields that no earlier release knew: the digest leaves them out while they are unset."""
    source: str = ""
    version: int = 0
    customer_id: str | None = None

    def digest(self) -> bytes:
        """Return the SHA-256 of the fact's normal form: 32 bytes."""
        normal_form = self._set_fields() if self.added_fields else self
        return hashlib.sha256(_canonical_encoder.encode(normal_form)).digest()

    def _set_fields(self) -> tuple[object, ...]:
        """Return the fields without the last of the added ones that hold their defaults."""
        fields, defaults = astuple(self), self.__struct_defaults__
        unset_count = 0
        while unset_count < self.added_fields and fields[-1 - unset_count] == defaults[-1 - unset_count]:
            unset_count += 1
        return fields[: len(fields) - unset_count]


class DimensionedFact(BaseFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """The dimensions a fact may name itself."""

    site: str | None = None
    queue: str | None = None
    team: str | None = None
    agent_id: str | None = None
    channel: str | None = None
    reason: str | None = None
    language: str | None = None


class Segment(DimensionedFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """One stay of a contact in one queue (`call-completed`).

    `segment_id` is "" where the event names none; the contact's id stands for it.

    >>> call = Segment(source="/crm", contact_id="c-81231", ended_at=1_795_255_590_000, outcome="answered")
    >>> call.identity.kind, call.identity.id
    ('s', 'c-81231')
    """

    kind: ClassVar[str] = "s"
    contact_id: str
    segment_id: str = ""
    direction: str = "inbound"
    queued_at: int | None = None
    ended_at: int
    wait_ms: int | None = None
    talk_ms: int | None = None
    hold_ms: int | None = None
    acw_ms: int | None = None
    outcome: str
    transfer: str = "none"
    resolved: bool | None = None
    customer_value: int | None = None

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("s", self.source, self.segment_id or self.contact_id)

    @property
    def time(self) -> int:
        return self.ended_at


class SurveySent(DimensionedFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """An invitation to a survey (`survey-sent`)."""

    kind: ClassVar[str] = "v"
    survey_id: str
    contact_id: str | None = None
    sent_at: int

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("v", self.source, self.survey_id)

    @property
    def time(self) -> int:
        return self.sent_at


class SurveyResponse(DimensionedFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """Answers to a survey (`survey-completed`). A skipped answer is None."""

    kind: ClassVar[str] = "r"
    response_id: str
    survey_id: str | None = None
    contact_id: str | None = None
    answered_at: int
    nps: int | None = None
    csat: int | None = None
    ces: int | None = None
    effort: int | None = None
    cnx: int | None = None
    resolved_first: bool | None = None
    comment: str | None = None
    excluded: bool = False

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("r", self.source, self.response_id)

    @property
    def time(self) -> int:
        return self.answered_at


class QualityEvaluation(BaseFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """A quality evaluation of a contact (`contact-evaluated`); `score` in hundredths, 0..10000.

    `items`: names and hundredths of the form's items, sorted; None where an item does not apply.
    `calibration`: one of several evaluations by which evaluators are compared, not counted.
    """

    kind: ClassVar[str] = "e"
    added_fields: ClassVar[int] = 3
    evaluation_id: str
    contact_id: str | None = None
    agent_id: str | None = None
    score: int
    evaluated_at: int
    form: str | None = None
    evaluator_id: str | None = None
    items: tuple[tuple[str, int | None], ...] = ()
    calibration: bool = False

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("e", self.source, self.evaluation_id)

    @property
    def time(self) -> int:
        return self.evaluated_at


class CustomerValuation(BaseFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """Value of a customer (`customer-valued`), in hundredths of the currency. `version` is `as_of`."""

    kind: ClassVar[str] = "c"
    value: int
    as_of: int

    @property
    def identity(self) -> FactIdentity:
        assert self.customer_id is not None
        return FactIdentity("c", self.source, self.customer_id)

    @property
    def time(self) -> int:
        return self.as_of


class ContactState(DimensionedFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """State of a segment under way (`contact-state`), one of CONTACT_STATES, from `at` on.

    The identity is that of all states of the segment: the greatest (`at`, `version`, place in CONTACT_STATES,
    `digest()`) tells the one it is in. `segment_id` is "" where the event names none. `queued_at`: when
    waiting began, if before `at`. `priority`: as the source states it, not compared with others.

    >>> state = ContactState(source="/crm", contact_id="c-81231", state="queued", at=1_795_255_200_000)
    >>> state.identity.kind, state.identity.id
    ('l', 'c-81231')
    """

    kind: ClassVar[str] = "l"
    contact_id: str
    segment_id: str = ""
    state: str
    at: int
    queued_at: int | None = None
    priority: int | None = None
    direction: str = "inbound"

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("l", self.source, self.segment_id or self.contact_id)

    @property
    def time(self) -> int:
        return self.at


class AgentState(BaseFact, frozen=True, array_like=True, gc=False, kw_only=True):
    """State of an agent (`agent-state`), one of AGENT_STATES, from `at` on. Agents' ids are global.

    `seen_at`: a later moment at which it was still so. `reason`: why away. `queues`, `channels`: what the
    agent serves from now on, sorted; None, as for `team` and `site`: as before. `contact_id`: the contact in
    hand. `heart_beat_ms`: the source repeats an agent's state at least this often; None: it does not.
    """

    kind: ClassVar[str] = "a"
    agent_id: str
    state: str
    at: int
    seen_at: int | None = None
    reason: str | None = None
    queues: tuple[str, ...] | None = None
    team: str | None = None
    site: str | None = None
    channels: tuple[str, ...] | None = None
    contact_id: str | None = None
    heart_beat_ms: int | None = None

    @property
    def identity(self) -> FactIdentity:
        return FactIdentity("a", "", self.agent_id)

    @property
    def time(self) -> int:
        return self.at if self.seen_at is None else self.seen_at


class Tombstone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Retraction of the fact with this identity, unless a higher version states it again.

    `at`: of a contact's or an agent's states only those that began at this moment are taken back; None: all.
    """

    identity: FactIdentity
    version: int
    at: int | None = None

    def digest(self) -> bytes:
        fields = (self.identity, self.version) if self.at is None else self
        return hashlib.sha256(_canonical_encoder.encode(fields)).digest()


LiveFact = ContactState | AgentState
LIVE_KINDS = (ContactState.kind, AgentState.kind)
"""Letters of the kinds that state what is going on now."""
StatedFact = Segment | SurveySent | SurveyResponse | QualityEvaluation | CustomerValuation | LiveFact
Event = StatedFact | Tombstone


class RejectedEvent(msgspec.Struct, frozen=True):
    """An event that is not counted.

    `reason` is one of a fixed set of words (a metric label). `error` is a sentence that names the field, its
    value and the expected one.
    """

    reason: str
    error: str
