"""Documents of what is live: the states of a segment under way, which lie in its identity record, and those
of an agent.

Both are histories: moments in their order, at most one for each `at`. Of several states of one moment the
greatest (version, place in its list of states, digest) is in force. What was taken back stays noted, since it
may arrive later.
"""

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from streamer.events.counting_rules import DAY
from streamer.events.models import AGENT_STATES, CHANNELS, CONTACT_STATES, AgentState, ContactState

LIVE_HORIZON_MS: Final = DAY
"""States that began longer before their record change nothing."""
SLOW_HORIZON_MS: Final = 8 * DAY
"""The same for SLOW_CHANNELS."""
MOST_CONTACT_STATES: Final = 500
MOST_AGENT_STATES: Final = 5_000
"""Limits of a history: an id that many share must not fill memory. Beyond half of it the oldest are left
out."""
_DIGEST_BYTES: Final = 4

Names = tuple[str, ...]


class StateMoment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every state has. `state`: place in its list of states. `digest`: head of the event's SHA-256."""

    at: int
    version: int
    state: int
    digest: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """Rank among states of the same `at`."""
        return (self.version, self.state, self.digest)


class TimedContactState(StateMoment, frozen=True, array_like=True, gc=False):
    """State of a segment. Texts are places in the history's `names`, from 1; 0: none, of the contact the
    segment's own id. `channel`: place in CHANNELS, from 1; 0: none."""

    queued_at: int | None
    priority: int | None
    contact_id: int
    queue: int
    team: int
    site: int
    agent_id: int
    channel: int
    reason: int
    language: int
    is_outbound: bool


class TimedAgentState(StateMoment, frozen=True, array_like=True, gc=False):
    """State of an agent. `seen_ms`: how long after `at` it was still so. `beat_ms`: heart beat, 0: none.
    `reason`, `contact_id` and `profile` are places in the history's `names` and `profiles`, from 1; 0: none
    stated."""

    seen_ms: int
    beat_ms: int
    reason: int
    contact_id: int
    profile: int


M = TypeVar("M", bound=StateMoment)


class StatedProfile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a state says of the agent; None: as before."""

    queues: Names | None = None
    team: str | None = None
    site: str | None = None
    channels: Names | None = None

    def updated(self, later: "StatedProfile") -> "StatedProfile":
        """Return what holds after a later state.

        >>> StatedProfile(("billing",), "red").updated(StatedProfile(("tech",))).team
        'red'
        """
        return StatedProfile(
            self.queues if later.queues is None else later.queues,
            self.team if later.team is None else later.team,
            self.site if later.site is None else later.site,
            self.channels if later.channels is None else later.channels,
        )


NO_PROFILE: Final = StatedProfile()


class TakenBack(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Versions up to which states were taken back: all of them (None: never), and those of a moment."""

    version: int | None = None
    of_moment: dict[int, int] = {}

    def covers(self, at: int, version: int) -> bool:
        """Tell whether a state was taken back.

        >>> TakenBack(1, {9_000: 3}).covers(9_000, 2), TakenBack(1, {9_000: 3}).covers(9_001, 2)
        (True, False)
        """
        return (self.version is not None and version <= self.version) or version <= self.of_moment.get(at, -1)

    def raised(self, at: int | None, version: int) -> "TakenBack | None":
        """Return this with a further version taken back; None if it was already."""
        if (self.version is not None and version <= self.version) or (
            at is not None and self.covers(at, version)
        ):
            return None
        if at is None:
            return TakenBack(version, self.of_moment)
        of_moment = self.of_moment | {at: version}
        if len(of_moment) > MOST_CONTACT_STATES:
            of_moment = dict(sorted(of_moment.items())[-MOST_CONTACT_STATES // 2 :])
        return TakenBack(self.version, of_moment)

    def since(self, floor_ms: int) -> "TakenBack | None":
        """Return this without what lies before a time; None where nothing is left."""
        of_moment = {at: version for at, version in self.of_moment.items() if at >= floor_ms}
        return TakenBack(self.version, of_moment) if of_moment or self.version is not None else None


NOTHING_TAKEN_BACK: Final = TakenBack()


class ContactHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """States of a segment under way. One that is completed or deleted has no history any more."""

    id: str
    source: str
    moments: tuple[TimedContactState, ...] = ()
    names: Names = ()
    taken_back: TakenBack | None = None

    def with_state(self, event: ContactState) -> "ContactHistory | None":
        """Return the history with a further state; None if it changes nothing.

        >>> history = ContactHistory("c1", "")
        >>> queued = ContactState(contact_id="c1", state="queued", at=9_000, queue="billing")
        >>> history = history.with_state(queued)
        >>> history.with_state(queued) is None, history.names
        (True, ('billing',))
        """
        if _is_taken_back(self.taken_back, event.at, event.version):
            return None
        texts = (
            event.contact_id if event.contact_id != self.id else None,
            event.queue, event.team, event.site, event.agent_id, event.reason, event.language,
        )  # fmt: skip
        (contact_id, queue, team, site, agent_id, reason, language), names = _places(self.names, texts)
        channel = 0 if event.channel is None else CHANNELS.index(event.channel) + 1
        state = CONTACT_STATES.index(event.state)
        moment = TimedContactState(
            event.at, event.version, state, _digest_head(event), event.queued_at, event.priority,
            contact_id, queue, team, site, agent_id, channel, reason, language, event.direction == "outbound",
        )  # fmt: skip
        moments = _placed(self.moments, moment)
        if moments is None:
            return None
        if len(moments) > MOST_CONTACT_STATES:
            moments, names = _renamed(moments[-MOST_CONTACT_STATES // 2 :], names)
        return ContactHistory(self.id, self.source, moments, names, self.taken_back)

    def without(self, at: int | None, version: int) -> "ContactHistory | None":
        """Return the history without the states up to a version, of one moment or all; None if they were
        taken back already."""
        taken_back = (self.taken_back or NOTHING_TAKEN_BACK).raised(at, version)
        if taken_back is None:
            return None
        moments = _left(self.moments, taken_back)
        return ContactHistory(self.id, self.source, moments, self.names if moments else (), taken_back)

    def name(self, place: int) -> str | None:
        return self.names[place - 1] if place else None


class AgentHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """States of an agent, from `floor_ms` on, and before it the one that was in force then, which began at
    `since_ms` (None: at its own moment). Whatever else is stated of before changes nothing."""

    agent_id: str
    moments: tuple[TimedAgentState, ...] = ()
    names: Names = ()
    profiles: tuple[StatedProfile, ...] = ()
    taken_back: TakenBack | None = None
    floor_ms: int = 0
    since_ms: int | None = None

    def with_state(self, event: AgentState, at: int) -> "AgentHistory | None":
        """Return the history with a further state, which began at `at`; None if it changes nothing."""
        if at < self.floor_ms or _is_taken_back(self.taken_back, at, event.version):
            return None
        stated = StatedProfile(event.queues, event.team, event.site, event.channels)
        profile, profiles = _place(self.profiles, None if stated == NO_PROFILE else stated)
        (reason, contact_id), names = _places(self.names, (event.reason, event.contact_id))
        moment = TimedAgentState(
            at,
            event.version,
            AGENT_STATES.index(event.state),
            _digest_head(event),
            max(0, (event.seen_at or at) - at),
            event.heart_beat_ms or 0,
            reason,
            contact_id,
            profile,
        )
        moments = _placed(self.moments, moment)
        if moments is None:
            return None
        return AgentHistory(
            self.agent_id, moments, names, profiles, self.taken_back, self.floor_ms, self.since_ms
        )

    def without(self, at: int | None, version: int) -> "AgentHistory | None":
        """Return the history without the states up to a version, of one moment or all; None if they were
        taken back already."""
        if at is not None and at < self.floor_ms:
            return None
        taken_back = (self.taken_back or NOTHING_TAKEN_BACK).raised(at, version)
        if taken_back is None:
            return None
        moments = _left(self.moments, taken_back)
        since_ms = self.since_ms if moments[:1] == self.moments[:1] else None
        return AgentHistory(
            self.agent_id, moments, self.names, self.profiles, taken_back, self.floor_ms, since_ms
        )

    def name(self, place: int) -> str | None:
        return self.names[place - 1] if place else None

    def profile(self, place: int) -> StatedProfile:
        return self.profiles[place - 1] if place else NO_PROFILE

    def profile_before(self, index: int) -> StatedProfile:
        """Return what holds before the moment of this index."""
        profile = NO_PROFILE
        for moment in self.moments[:index]:
            if moment.profile:
                profile = profile.updated(self.profile(moment.profile))
        return profile


_NAMED_FIELDS: Final = ("contact_id", "queue", "team", "site", "agent_id", "reason", "language")


def _renamed(
    moments: tuple[TimedContactState, ...], names: Names
) -> tuple[tuple[TimedContactState, ...], Names]:
    """Return the moments with only those names that they have."""
    kept_names: Names = ()
    renamed = []
    for moment in moments:
        places = [getattr(moment, field) for field in _NAMED_FIELDS]
        texts = [names[place - 1] if place else None for place in places]
        kept_places, kept_names = _places(kept_names, texts)
        renamed.append(replace(moment, **dict(zip(_NAMED_FIELDS, kept_places, strict=True))))
    return tuple(renamed), kept_names


def is_continued(earlier: TimedAgentState, later: TimedAgentState, silence_ms: int) -> bool:
    """Tell whether a state repeats the one before it, with no silence between."""
    same = (earlier.state, earlier.reason) == (later.state, later.reason)
    return same and later.at <= heard_until(earlier, silence_ms)


def heard_until(moment: TimedAgentState, silence_ms: int) -> int:
    """Return up to when the state is known to hold, if no other follows: three heart beats after the last
    sign of the agent, or `silence_ms` where its source has none."""
    return moment.at + moment.seen_ms + (3 * moment.beat_ms or silence_ms)


def run_start(history: AgentHistory, index: int, silence_ms: int) -> int:
    """Return when the state at `index` began, repeats of it included."""
    moments = history.moments
    while index and is_continued(moments[index - 1], moments[index], silence_ms):
        index -= 1
    return moments[index].at if index or history.since_ms is None else history.since_ms


def pruned_history(history: AgentHistory, floor_ms: int, silence_ms: int) -> AgentHistory:
    """Return the history without what lies before a time, but for the state that was in force then."""
    moments = history.moments
    if len(moments) > MOST_AGENT_STATES:
        floor_ms = max(floor_ms, moments[-MOST_AGENT_STATES // 2].at)
    if floor_ms <= history.floor_ms:
        return history
    first_index = bisect_left(moments, floor_ms, key=_at) - 1
    if first_index <= 0:
        return history
    base = moments[first_index]
    profile = history.profile_before(first_index + 1)
    names: Names = ()
    profiles: tuple[StatedProfile, ...] = ()
    kept: list[TimedAgentState] = []
    for moment in moments[first_index:]:
        texts = (history.name(moment.reason), history.name(moment.contact_id))
        (reason, contact_id), names = _places(names, texts)
        stated = profile if moment is base else history.profile(moment.profile)
        place, profiles = _place(profiles, None if stated == NO_PROFILE else stated)
        kept.append(
            TimedAgentState(
                moment.at, moment.version, moment.state, moment.digest, moment.seen_ms, moment.beat_ms,
                reason, contact_id, place,
            )
        )  # fmt: skip
    since_ms = run_start(history, first_index, silence_ms)
    return AgentHistory(
        history.agent_id,
        tuple(kept),
        names,
        profiles,
        None if history.taken_back is None else history.taken_back.since(floor_ms),
        floor_ms,
        since_ms,
    )


def agent_key(agent_id: str) -> bytes:
    """Return the key of an agent's document."""
    return b"a" + blake2b(f"a\x1f\x1f{agent_id}".encode(), digest_size=12).digest()


def _is_taken_back(taken_back: TakenBack | None, at: int, version: int) -> bool:
    return taken_back is not None and taken_back.covers(at, version)


def _digest_head(event: ContactState | AgentState) -> int:
    return int.from_bytes(event.digest()[:_DIGEST_BYTES], "big")


_at: Final = attrgetter("at")


def _placed(moments: tuple[M, ...], moment: M) -> tuple[M, ...] | None:
    """Return the moments with another one in its place; None if the one that is there is as great."""
    at = moment.at
    index = len(moments)
    if moments and at <= moments[-1].at:
        index = bisect_left(moments, at, key=_at)
    if index < len(moments) and moments[index].at == at:
        if moment.rank <= moments[index].rank:
            return None
        return (*moments[:index], moment, *moments[index + 1 :])
    return (*moments[:index], moment, *moments[index:])


def _left(moments: tuple[M, ...], taken_back: TakenBack) -> tuple[M, ...]:
    return tuple(moment for moment in moments if not taken_back.covers(moment.at, moment.version))


P = TypeVar("P")


def _place(known: tuple[P, ...], value: P | None) -> tuple[int, tuple[P, ...]]:
    """Return the place of a value, from 1, and the known values with it; 0 for None."""
    if value is None:
        return 0, known
    if value in known:
        return known.index(value) + 1, known
    return len(known) + 1, (*known, value)


def _places(names: Names, texts: Sequence[str | None]) -> tuple[list[int], Names]:
    places = []
    for text in texts:
        place, names = _place(names, text)
        places.append(place)
    return places, names


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack_agent: Final = msgspec.msgpack.Decoder(AgentHistory).decode


def unpack_agent(packed: bytes, floor_ms: int, silence_ms: int) -> AgentHistory:
    """Read an agent's document, leaving out what lies before a time."""
    return pruned_history(_unpack_agent(packed), floor_ms, silence_ms)


def pack_agent(history: AgentHistory | None) -> bytes | None:
    return None if history is None else _pack(history)
