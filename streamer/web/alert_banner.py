"""The banner of a wallboard: the alerts and pipeline problems that one wallboard shows."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import EMPTY_STATE, NOTIFIED_PHASES, AlertState
from streamer.panes.pane_keys import ALL
from streamer.readings.query import dimension_values
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.web.alert_figures import with_current_figures
from streamer.web.alert_view import AlertView, AlertViewSource, alert_views, restrict_to_scope, worst_first
from streamer.web.permissions import DataScope
from streamer.web.pipeline_health import PipelineHealth
from streamer.web.users import User
from streamer.web.wallboard import AlertFigure, WallboardAlert


class WallboardAudience(NamedTuple):
    """The people in front of a wallboard: members of these teams (None: of all), or with `as_viewer` anybody.
    No wallboard shows figures of agents."""

    as_viewer: bool
    teams: tuple[str, ...] | None = None

    @property
    def user(self) -> User:
        return User("", "viewer" if self.as_viewer else "supervisor", self.teams, agent_names=False)


class AlertBanner:
    """Alerts for a wallboard of these groups (dimensions and key; none: of the whole center).

    It is read several times a second, so the result is cached until the record changes, a silence begins or
    ends, or pipeline problems come or go."""

    def __init__(
        self,
        reader: MetricsReader,
        pipeline_health: PipelineHealth,
        coordinator: AlertCoordinator | None,
        groups: Collection[tuple[str, str]],
        audience: WallboardAudience,
        settings: Settings,
    ) -> None:
        self._reader, self._pipeline_health, self._coordinator = reader, pipeline_health, coordinator
        self._groups = [dimension_values(*group) for group in groups]
        self._audience, self._settings = audience, settings
        self._figures: dict[str, AlertFigure | None] = {}
        self._record: AlertState | None = None
        self._cache_key: tuple[list[str], bool] = ([], False)
        self._alerts: list[WallboardAlert] = []

    def alerts(self, now_ms: int) -> list[WallboardAlert]:
        """Return pipeline problems, then alerts, each worst first. `now` in ms since the epoch."""
        pipeline_alerts, record = self._pipeline_health.alerts(now_ms), self.record
        active_silences = [
            name for name, item in record.silences.items() if item.since <= now_ms < item.until
        ]
        cache_key = (active_silences, self._pipeline_health.was_troubled_recently(now_ms))
        if record is not self._record or cache_key != self._cache_key:
            self._record, self._cache_key = record, cache_key
            self._alerts = [_wallboard_alert(view) for view in self._sorted_views(record, now_ms)]
        figures = self._figures
        return [
            *pipeline_alerts,
            *(replace(alert, current=figures.get(alert.id)) for alert in self._alerts),
        ]

    def read_figures(self, now_ms: int) -> None:
        """Read the figures of the alerts as they are now. It blocks, so call it in a thread."""
        views = self._sorted_views(self.record, now_ms)
        data_scope = DataScope(self._audience.user, self._reader, now_ms)
        self._figures = {
            view.id: view.current for view in with_current_figures(views, data_scope, self._settings, now_ms)
        }

    @property
    def record(self) -> AlertState:
        return EMPTY_STATE if self._coordinator is None else self._coordinator.state

    def _sorted_views(self, record: AlertState, now_ms: int) -> list[AlertView]:
        return sorted(self._visible_views(record, now_ms), key=_unacknowledged_first)

    def _visible_views(self, record: AlertState, now_ms: int) -> Iterator[AlertView]:
        """Yield the alerts to show: notified, not resolved, not silenced, of these groups, in scope."""
        data_scope = DataScope(self._audience.user, self._reader, now_ms)
        for view in alert_views(AlertViewSource(record, {}, {}), NOTIFIED_PHASES, now_ms):
            is_due = view.silenced is None and not self._is_redundant(view, now_ms)
            visible = restrict_to_scope(view, data_scope) if is_due and self._concerns_groups(view) else None
            if visible is not None:
                yield visible

    def _is_redundant(self, view: AlertView, now_ms: int) -> bool:
        """Tell whether a pipeline problem says the same already, or data that was odd has recovered."""
        return view.what == "odd" and (
            view.phase == "clearing" or self._pipeline_health.was_troubled_recently(now_ms)
        )

    def _concerns_groups(self, view: AlertView) -> bool:
        if not self._groups or view.by == ALL:
            return True
        assert view.by is not None
        assert view.key is not None
        values = dimension_values(view.by, view.key).items()
        return any(group.items() <= values for group in self._groups)


def _unacknowledged_first(view: AlertView) -> tuple[bool, bool, int]:
    """Return a sort key: critical first, then those that nobody acknowledged, then the newest."""
    critical, newest = worst_first(view)
    return critical, view.acknowledged is not None, newest


def _wallboard_alert(view: AlertView) -> WallboardAlert:
    return WallboardAlert(
        id=view.id,
        severity=view.severity,
        kind=view.kind,
        text=view.text,
        since=view.since,
        phase="clearing" if view.phase == "clearing" else "firing",
        acknowledged=view.acknowledged is not None,
        what=view.what,
        metric=view.metric,
        by=view.by,
        key=view.key,
        group=view.group,
        unit=view.unit,
        better=view.better,
        window=view.window,
        fired_at=view.fired_at,
        fired_value=None if view.figures is None else view.figures.value,
    )
