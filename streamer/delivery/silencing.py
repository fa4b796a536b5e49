"""Silencing of alerts by people: in Alertmanager if there is one, and always in the alert state.

With an Alertmanager its silences are the ones that count: a silence created or ended there, by whomever, is
so here a few seconds later.
"""

import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertSilence, AlertState, add_silence, remove_silence
from streamer.delivery.alertmanager_client import (
    AlertmanagerClient,
    AlertmanagerSilence,
    AlertmanagerUnavailable,
)
from streamer.delivery.silence_matching import CoveredGroup, Via, build_matchers, covered_groups, is_supported
from streamer.delivery.timing import DeliveryTiming
from streamer.runtime.clock import Clock

SYNC_INTERVAL_S: Final = 10.0
_log = structlog.get_logger(__name__)


class SilencingUnavailable(Exception):  # noqa: N818 - names the state
    """Alertmanager, which keeps the silences, is unavailable. The message says why, without its address."""


class AlertmanagerTarget(NamedTuple):
    """Alertmanager that keeps the silences, and the way alerts reach it: by API or through Prometheus."""

    alertmanager: AlertmanagerClient
    via: Via


class SilenceService:
    """Creates and ends silences. Both raise SilencingUnavailable, and what the store raises."""

    def __init__(
        self, coordinator: AlertCoordinator, clock: Clock, target: AlertmanagerTarget | None = None
    ) -> None:
        self._coordinator, self._clock, self._target = coordinator, clock, target

    async def silence(
        self, rule: str, key: str | None, until_ms: int, by: str, comment: str = ""
    ) -> AlertSilence:
        """Silence a rule from now until `until_ms`; `key` None: all its groups. The rule must exist."""
        since = self._clock()
        silence_id = await self._new_silence_id(rule, key or None, (since, until_ms), by, comment)
        silence = AlertSilence(
            id=silence_id, rule=rule, key=key or None, since=since, until=until_ms, by=by, comment=comment
        )
        await self._coordinator.update(partial(add_silence, silence=silence))
        return silence

    async def _new_silence_id(
        self, rule: str, key: str | None, span_ms: tuple[int, int], by: str, comment: str
    ) -> str:
        if self._target is None:
            return secrets.token_hex(8)
        (alert_rule,) = [candidate for candidate in self._coordinator.rules if candidate.name == rule]
        silence_matchers = build_matchers(alert_rule, key, self._target.via)
        try:
            return await self._target.alertmanager.create_silence(silence_matchers, span_ms, by, comment)
        except AlertmanagerUnavailable as error:
            raise SilencingUnavailable(f"Alertmanager: {error}") from None

    async def unsilence(self, silence_id: str) -> None:
        """End the silence of that id; do nothing if there is none.

        A silence of Alertmanager that covers several groups ends for all of them.
        """
        record = await self._coordinator.update(lambda record: record)
        if silence_id not in record.silences:
            return
        origin = _alertmanager_id(silence_id)
        if self._target is not None:
            try:
                await self._target.alertmanager.delete_silence(origin)
            except AlertmanagerUnavailable as error:
                raise SilencingUnavailable(f"Alertmanager: {error}") from None
        await self._coordinator.update(partial(_remove_origin, origin=origin))


def linked_silences(state: AlertState, silence_id: str) -> list[AlertSilence]:
    """Return the silences that end together with this one: all made of one silence of Alertmanager."""
    return [
        silence
        for other_id, silence in state.silences.items()
        if _alertmanager_id(other_id) == _alertmanager_id(silence_id)
    ]


def _remove_origin(state: AlertState, origin: str) -> AlertState:
    for silence_id in state.silences:
        if _alertmanager_id(silence_id) == origin:
            state = remove_silence(state, silence_id)
    return state


# Silences that are created and ended in Alertmanager itself.


class SilenceSync:
    """Copies the silences of Alertmanager into the alert state while this server is leader."""

    def __init__(
        self, coordinator: AlertCoordinator, target: AlertmanagerTarget, timing: DeliveryTiming
    ) -> None:
        self._coordinator, self._target, self._timing = coordinator, target, timing
        self._backoff = timing.backoff()
        self._unsupported_ids: set[str] = set()
        self.failure: str | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._timing.sleep(await self._sync() if self._coordinator.is_leader else SYNC_INTERVAL_S)

    async def _sync(self) -> float:
        """Copy the silences once; return the seconds until the next time."""
        try:
            state_before = await self._coordinator.update(lambda record: record)
            remote_silences = await self._target.alertmanager.list_silences()
            await self._coordinator.update(
                partial(
                    merge_silences,
                    state_before=state_before,
                    remote_silences=self._convert_silences(remote_silences),
                )
            )
        except Exception as error:  # whatever the store raises, too
            reason = str(error) if isinstance(error, AlertmanagerUnavailable) else type(error).__name__
            if self.failure != reason:
                _log.warning("reading silences from Alertmanager failed, retrying", reason=reason)
            self.failure = reason
            return max(self._backoff.after_failure(), SYNC_INTERVAL_S)
        self.failure = None
        self._backoff.reset()
        return SYNC_INTERVAL_S

    def _convert_silences(self, remote_silences: Iterable[AlertmanagerSilence]) -> dict[str, AlertSilence]:
        keys_by_rule: dict[str, list[str]] = {}
        for alert in self._coordinator.state.alerts:
            keys_by_rule.setdefault(alert.rule, []).append(alert.key)
        silences: dict[str, AlertSilence] = {}
        for remote_silence in remote_silences:
            if is_supported(remote_silence):
                silences |= _silences_by_id(
                    remote_silence,
                    [
                        *covered_groups(
                            remote_silence, self._coordinator.rules, keys_by_rule, self._target.via
                        )
                    ],
                )
            elif remote_silence.id not in self._unsupported_ids:
                self._unsupported_ids.add(remote_silence.id)
                _log.warning(
                    "ignoring a silence of Alertmanager: regular expression too complex", id=remote_silence.id
                )
        return silences


def merge_silences(
    state: AlertState, state_before: AlertState, remote_silences: Mapping[str, AlertSilence]
) -> AlertState:
    """Make the silences of the state those of Alertmanager.

    What people changed here since `state_before` stays: that state was read before Alertmanager was asked, so
    its answer may lack the change.
    """
    kept_silences = {
        name: silence
        for name, silence in state.silences.items()
        if name in remote_silences or name not in state_before.silences
    }
    new_silences = {
        name: silence
        for name, silence in remote_silences.items()
        if name in state.silences or name not in state_before.silences
    }
    silences = kept_silences | new_silences
    return state if silences == state.silences else replace(state, silences=silences)


def _silences_by_id(
    remote_silence: AlertmanagerSilence, groups: list[CoveredGroup]
) -> dict[str, AlertSilence]:
    """Return the silences made of one of Alertmanager, by its id, with a suffix if there are several."""
    return {
        name: _silence_of_group(name, remote_silence, group)
        for group in groups
        for name in [remote_silence.id if len(groups) == 1 else f"{remote_silence.id}.{_group_suffix(group)}"]
    }


def _alertmanager_id(silence_id: str) -> str:
    """Return the id in Alertmanager of a silence.

    >>> _alertmanager_id("7d2c.9f86d081"), _alertmanager_id("7d2c")
    ('7d2c', '7d2c')
    """
    return silence_id.partition(".")[0]


def _group_suffix(group: CoveredGroup) -> str:
    return sha256(repr(group).encode()).hexdigest()[:8]


def _silence_of_group(
    silence_id: str, remote_silence: AlertmanagerSilence, group: CoveredGroup
) -> AlertSilence:
    since, until = (
        round(time.timestamp() * 1000) for time in (remote_silence.starts_at, remote_silence.ends_at)
    )
    return AlertSilence(
        id=silence_id, rule=group.rule, key=group.key, since=since, until=until, by=remote_silence.created_by,
        comment=remote_silence.comment,
    )  # fmt: skip
