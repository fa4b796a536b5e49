"""The banner of a wallboard: the alerts and pipeline problems that one wallboard shows."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from streamer.delivery.bell import Bell
from streamer.delivery.record import EMPTY, TOLD, Record
from streamer.panes.pane_keys import ALL
from streamer.readings.query import dimensions
from streamer.readings.reader import Reader
from streamer.web.alarm import Alarm, Known, alarms, seen, worst_first
from streamer.web.board import Alert
from streamer.web.people import Person
from streamer.web.rights import Sight
from streamer.web.troubles import Troubles


class Audience(NamedTuple):
    """The people in front of a wallboard: members of these teams (None: of all), or with `as_viewer` anybody.
    No wallboard shows figures of agents."""

    guarded: bool
    teams: tuple[str, ...] | None = None

    @property
    def person(self) -> Person:
        return Person("", "viewer" if self.guarded else "supervisor", self.teams, agent_names=False)


class Banner:
    """Alerts for a wallboard of these queues (none: of the whole center).

    It is read several times a second, so the result is cached until the record changes, a silence begins or
    ends, or pipeline problems come or go."""

    def __init__(
        self,
        reader: Reader,
        troubles: Troubles,
        bell: Bell | None,
        queues: Collection[str],
        audience: Audience,
    ) -> None:
        self._reader, self._troubles, self._bell = reader, troubles, bell
        self._queues, self._audience = queues, audience
        self._record: Record | None = None
        self._stamp: tuple[list[str], bool] = ([], False)
        self._alerts: list[Alert] = []

    def alerts(self, now: int) -> list[Alert]:
        """Return pipeline problems, then alerts, each worst first. `now` in ms since the epoch."""
        troubles, record = self._troubles.alerts(now), EMPTY if self._bell is None else self._bell.record
        quiet = [name for name, one in record.silences.items() if one.since <= now < one.until]
        stamp = (quiet, self._troubles.lately(now))
        if record is not self._record or stamp != self._stamp:
            self._record, self._stamp = record, stamp
            self._alerts = [_shown(one) for one in sorted(self._found(record, now), key=_first)]
        return [*troubles, *self._alerts]

    def _found(self, record: Record, now: int) -> Iterator[Alarm]:
        """Yield the alerts to show: notified, not resolved, not silenced, of these queues, in scope."""
        sight = Sight(self._audience.person, self._reader, now)
        for one in alarms(Known(record, {}, {}), TOLD, now):
            is_due = one.silenced is None and not self._is_said(one, now)
            shown = seen(one, sight) if is_due and self._is_here(one) else None
            if shown is not None:
                yield shown

    def _is_said(self, alarm: Alarm, now: int) -> bool:
        """Tell whether a pipeline problem says the same already, or data that was odd has recovered."""
        return alarm.what == "odd" and (alarm.phase == "clearing" or self._troubles.lately(now))

    def _is_here(self, alarm: Alarm) -> bool:
        if not self._queues or alarm.by == ALL:
            return True
        assert alarm.by is not None
        assert alarm.key is not None
        return dimensions(alarm.by, alarm.key).get("queue") in self._queues


def _first(alarm: Alarm) -> tuple[bool, bool, int]:
    """Return a sort key: critical first, then those that nobody acknowledged, then the newest."""
    critical, newest = worst_first(alarm)
    return critical, alarm.acknowledged is not None, newest


def _shown(alarm: Alarm) -> Alert:
    return Alert(
        id=alarm.id,
        severity=alarm.severity,
        kind=alarm.kind,
        text=alarm.text,
        since=alarm.since,
        phase="clearing" if alarm.phase == "clearing" else "firing",
        acknowledged=alarm.acknowledged is not None,
        what=alarm.what,
        metric=alarm.metric,
        by=alarm.by,
        key=alarm.key,
        group=alarm.group,
    )
