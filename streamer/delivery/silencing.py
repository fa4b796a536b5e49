"""Silencing of alerts by people: in Alertmanager if there is one, and always in the alert state.

With an Alertmanager its silences are the ones that count: a silence created or ended there, by whomever, is
so here a few seconds later.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from streamer.delivery.alertmanager import Alertmanager, AlertmanagerAway, Kept
from streamer.delivery.bell import Bell
from streamer.delivery.matching import Covered, Via, covered, is_understood, matchers
from streamer.delivery.pauses import Backoff, Timing
from streamer.delivery.record import Record, Silence, silenced, unsilenced

EVERY_S: Final = 10.0
Clock = Callable[[], int]
_log = structlog.get_logger(__name__)


class SilencingUnavailable(Exception):  # noqa: N818 - names the state
    """Alertmanager, which keeps the silences, is unavailable. The message says why, without its address."""


class Elsewhere(NamedTuple):
    """Alertmanager that keeps the silences, and the way alerts reach it: by API or through Prometheus."""

    alertmanager: Alertmanager
    via: Via


class Silencing:
    """Creates and ends silences. Both raise SilencingUnavailable, and what the store raises."""

    def __init__(self, bell: Bell, clock: Clock, elsewhere: Elsewhere | None = None) -> None:
        self._bell, self._clock, self._elsewhere = bell, clock, elsewhere

    async def silence(self, rule: str, key: str | None, until_ms: int, by: str, comment: str = "") -> Silence:
        """Silence a rule from now until `until_ms`; `key` None: all its groups. The rule must exist."""
        since = self._clock()
        name = await self._made(rule, key or None, (since, until_ms), by, comment)
        made = Silence(
            id=name, rule=rule, key=key or None, since=since, until=until_ms, by=by, comment=comment
        )
        await self._bell.change(partial(silenced, silence=made))
        return made

    async def _made(self, rule: str, key: str | None, span: tuple[int, int], by: str, comment: str) -> str:
        if self._elsewhere is None:
            return secrets.token_hex(8)
        (found,) = [one for one in self._bell.rules if one.name == rule]
        asked = matchers(found, key, self._elsewhere.via)
        try:
            return await self._elsewhere.alertmanager.silence(asked, span, by, comment)
        except AlertmanagerAway as error:
            raise SilencingUnavailable(f"Alertmanager: {error}") from None

    async def unsilence(self, name: str) -> None:
        """End the silence of that id; do nothing if there is none.

        A silence of Alertmanager that covers several groups ends for all of them.
        """
        record = await self._bell.change(lambda record: record)
        if name not in record.silences:
            return
        origin = _origin(name)
        if self._elsewhere is not None:
            try:
                await self._elsewhere.alertmanager.unsilence(origin)
            except AlertmanagerAway as error:
                raise SilencingUnavailable(f"Alertmanager: {error}") from None
        await self._bell.change(partial(_ended, origin=origin))


def together(record: Record, name: str) -> list[Silence]:
    """Return the silences that end together with this one: all made of one silence of Alertmanager."""
    return [one for other, one in record.silences.items() if _origin(other) == _origin(name)]


def _ended(record: Record, origin: str) -> Record:
    for name in record.silences:
        if _origin(name) == origin:
            record = unsilenced(record, name)
    return record


# Silences that are created and ended in Alertmanager itself.


class Following:
    """Copies the silences of Alertmanager into the alert state while this server is leader."""

    def __init__(self, bell: Bell, elsewhere: Elsewhere, timing: Timing) -> None:
        self._bell, self._elsewhere, self._timing = bell, elsewhere, timing
        self._backoff = Backoff(timing.chance)
        self._strange: set[str] = set()
        self.trouble: str | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._timing.sleep(await self._follow() if self._bell.mine else EVERY_S)

    async def _follow(self) -> float:
        """Copy the silences once; return the seconds until the next time."""
        try:
            before = await self._bell.change(lambda record: record)
            kept = await self._elsewhere.alertmanager.silences()
            await self._bell.change(partial(followed, before=before, found=self._found(kept)))
        except Exception as error:  # whatever the store raises, too
            reason = str(error) if isinstance(error, AlertmanagerAway) else type(error).__name__
            if self.trouble != reason:
                _log.warning("reading silences from Alertmanager failed, retrying", reason=reason)
            self.trouble = reason
            return max(self._backoff.after_failure(), EVERY_S)
        self.trouble = None
        self._backoff.reset()
        return EVERY_S

    def _found(self, kept: Iterable[Kept]) -> dict[str, Silence]:
        known: dict[str, list[str]] = {}
        for alert in self._bell.record.alerts:
            known.setdefault(alert.rule, []).append(alert.key)
        found: dict[str, Silence] = {}
        for one in kept:
            if is_understood(one):
                found |= _named(one, [*covered(one, self._bell.rules, known, self._elsewhere.via)])
            elif one.id not in self._strange:
                self._strange.add(one.id)
                _log.warning("ignoring a silence of Alertmanager: regular expression too complex", id=one.id)
        return found


def followed(record: Record, before: Record, found: Mapping[str, Silence]) -> Record:
    """Make the silences of the state those of Alertmanager.

    What people changed here since `state_before` stays: that state was read before Alertmanager was asked, so
    its answer may lack the change.
    """
    kept = {
        name: one for name, one in record.silences.items() if name in found or name not in before.silences
    }
    new = {name: one for name, one in found.items() if name in record.silences or name not in before.silences}
    silences = kept | new
    return record if silences == record.silences else replace(record, silences=silences)


def _named(kept: Kept, places: list[Covered]) -> dict[str, Silence]:
    """Return the silences made of one of Alertmanager, by its id, with a suffix if there are several."""
    return {
        name: _silence(name, kept, place)
        for place in places
        for name in [kept.id if len(places) == 1 else f"{kept.id}.{_mark(place)}"]
    }


def _origin(name: str) -> str:
    """Return the id in Alertmanager of a silence.

    >>> _origin("7d2c.9f86d081"), _origin("7d2c")
    ('7d2c', '7d2c')
    """
    return name.partition(".")[0]


def _mark(place: Covered) -> str:
    return sha256(repr(place).encode()).hexdigest()[:8]


def _silence(name: str, kept: Kept, place: Covered) -> Silence:
    since, until = (round(one.timestamp() * 1000) for one in (kept.starts_at, kept.ends_at))
    return Silence(
        id=name, rule=place.rule, key=place.key, since=since, until=until, by=kept.created_by,
        comment=kept.comment,
    )  # fmt: skip
