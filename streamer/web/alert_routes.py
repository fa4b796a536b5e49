"""Routes below `/api/v1/alerts`: list alerts, acknowledge them, explain why they fire."""

import asyncio
from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.reports.explanation import explain_rule
from streamer.alerts.states import Phase
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import NOTIFIED_PHASES, Acknowledgement, AlertState, set_acknowledgement
from streamer.readings.query import QueryError
from streamer.readings.query_times import parse_query_time_ms
from streamer.readings.reader import MetricsReader
from streamer.readings.table_columns import TableColumns
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import Clock
from streamer.settings import Settings
from streamer.web.alert_actions import AcknowledgeAction, author_name, parse_action, run_alert_action
from streamer.web.alert_figures import with_current_figures
from streamer.web.alert_view import (
    ALERT_PHASES,
    AlertView,
    AlertViewSource,
    alert_views,
    pipeline_alert_view,
    restrict_to_scope,
    worst_first,
)
from streamer.web.api import (
    LIST_PARAMETERS,
    check_parameters,
    json_response,
    list_parameter,
    list_response,
    require_data_scope,
    single_parameter,
)
from streamer.web.audit_log import AuditLog
from streamer.web.heavy_questions import HeavyQuestions
from streamer.web.paging import PAGE_PARAMETERS, list_page
from streamer.web.permissions import DataScope
from streamer.web.pipeline_health import PipelineHealth
from streamer.web.table_responses import ApiTable

PATH: Final = "/api/v1/alerts"
_ALERT_COLUMNS: Final = TableColumns.of(AlertView)
MAX_ALERTS: Final = 1_000
"""Most alerts of a page."""
MAX_EXPLANATIONS: Final = 200
"""Most explained groups of a page."""


class AlertRoutes:
    """List, acknowledge and explain alerts. Without an AlertCoordinator (`bell` None) only pipeline problems
    are listed, and the other routes answer 503."""

    def __init__(
        self,
        reader: MetricsReader,
        pipeline_health: PipelineHealth,
        coordinator: AlertCoordinator | None,
        settings: Settings,
        clock: Clock,
        audit: AuditLog,
        questions: HeavyQuestions,
    ) -> None:
        self._reader, self._pipeline_health, self._coordinator = reader, pipeline_health, coordinator
        self._settings, self._names = settings, settings.names
        self._clock, self._audit, self._questions = clock, audit, questions

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._list_alerts),
            Route(f"{PATH}/acknowledge", self._acknowledge, methods=["POST"]),
            Route(f"{PATH}/explain", self._explain),
        ]

    async def _list_alerts(self, request: Request) -> Response:
        """Answer with all visible alerts, worst first. Pipeline problems come even before the first read."""
        check_parameters(request, ("phase", *LIST_PARAMETERS))
        phases, now_ms = _requested_phases(request), self._clock()
        data_scope = DataScope(request.scope["person"], self._reader, now_ms)
        visible_views = self._visible_views(data_scope, phases, now_ms)
        page = list_page(request, visible_views, lambda view: (*worst_first(view), view.id), MAX_ALERTS)
        views = await asyncio.to_thread(with_current_figures, page.items, data_scope, self._settings, now_ms)
        return await list_response(request, ApiTable(_ALERT_COLUMNS, views), self._questions, page.headers)

    def _visible_views(
        self, data_scope: DataScope, phases: Collection[Phase], now_ms: int
    ) -> Iterator[AlertView]:
        """Yield pipeline problems, then alerts, without alerts that repeat a current pipeline problem."""
        if "firing" in phases:
            yield from map(pipeline_alert_view, self._pipeline_health.alerts(now_ms))
        is_unhealthy = self._pipeline_health.was_troubled_recently(now_ms)
        for view in alert_views(AlertViewSource.of(self._coordinator, self._names), phases, now_ms):
            is_redundant = is_unhealthy and view.what == "odd" and view.phase in NOTIFIED_PHASES
            if not is_redundant and (visible := restrict_to_scope(view, data_scope)) is not None:
                yield visible

    async def _acknowledge(self, request: Request) -> Response:
        """Acknowledge an alert or take that back; answer with a list of the one alert as it is afterwards."""
        check_parameters(request, ())
        coordinator, action, now_ms = (
            require_coordinator(self._coordinator),
            await parse_action(request, AcknowledgeAction),
            self._clock(),
        )
        data_scope, source = (
            require_data_scope(request, self._reader, now_ms),
            AlertViewSource.of(coordinator, self._names),
        )
        acknowledgement = Acknowledgement(author_name(data_scope.user), now_ms, action.comment)

        def apply_action(record: AlertState) -> AlertState:
            view = _visible_view(source._replace(record=record), action.id, data_scope, now_ms)
            if action.acknowledged and view.phase == "resolved":
                raise HTTPException(HTTPStatus.CONFLICT, f"id = {action.id!r}: this alert is resolved")
            return set_acknowledgement(record, action.id, acknowledgement if action.acknowledged else None)

        record = await run_alert_action(coordinator.update(apply_action))
        event = "alert acknowledged" if action.acknowledged else "acknowledgement withdrawn"
        self._audit.record(request, event, alert=action.id)
        return json_response([_visible_view(source._replace(record=record), action.id, data_scope, now_ms)])

    async def _explain(self, request: Request) -> Response:
        check_parameters(request, ("name", "key", "at", *PAGE_PARAMETERS))
        coordinator, now_ms = require_coordinator(self._coordinator), self._clock()
        rule, key = (
            requested_rule(coordinator, "name", single_parameter(request, "name")),
            single_parameter(request, "key"),
        )
        at_ms, data_scope = (
            _past_time_ms(single_parameter(request, "at"), now_ms),
            require_data_scope(request, self._reader, now_ms),
        )
        data_scope.require_access(rule.by, key)
        explanations = await coordinator.run_with_evaluator(
            lambda evaluator: explain_rule(evaluator, rule, key, now_ms, at_ms)
        )
        visible = [item for item in explanations if data_scope.covers(item.by, item.key)]
        page = list_page(request, visible, lambda item: (item.key,), MAX_EXPLANATIONS)
        return json_response(page.items, page.headers)


def require_coordinator(coordinator: AlertCoordinator | None) -> AlertCoordinator:
    """Return the coordinator. Raise HTTPException (503) where this server evaluates no alert rules."""
    if coordinator is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "nobody judges alerts here")
    return coordinator


def requested_rule(coordinator: AlertCoordinator, field: str, name: str | None) -> AlertRule:
    """Find a rule by name. Raise QueryError that names the request's `field` and the known rules."""
    for rule in coordinator.rules:
        if rule.name == name:
            return rule
    expected = expected_choice(name or "", [rule.name for rule in coordinator.rules])
    raise QueryError(f"{field} = {name!r}: {expected}")


def _visible_view(source: AlertViewSource, alert_id: str, data_scope: DataScope, now_ms: int) -> AlertView:
    """Find an alert by its episode. Raise HTTPException (404) if this user sees no such alert."""
    for view in alert_views(source, ALERT_PHASES, now_ms):
        if view.id == alert_id and (visible := restrict_to_scope(view, data_scope)) is not None:
            return visible
    raise HTTPException(HTTPStatus.NOT_FOUND, f"id = {alert_id!r}: no such alert")


def _requested_phases(request: Request) -> Collection[Phase]:
    phases = list_parameter(request, "phase")
    for phase in phases:
        if phase not in ALERT_PHASES:
            raise QueryError(f"phase = {phase!r}: expected some of {', '.join(ALERT_PHASES)}")
    return [phase for phase in ALERT_PHASES if phase in (phases or NOTIFIED_PHASES)]


def _past_time_ms(text: str | None, now_ms: int) -> int | None:
    at_ms = parse_query_time_ms("at", text) if text else None
    if at_ms is not None and at_ms > now_ms:
        raise QueryError(f"at = {text!r}: expected a time that is not in the future")
    return at_ms
