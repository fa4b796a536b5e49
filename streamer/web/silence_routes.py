"""Routes of `/api/v1/silences`: list, create and end silences, within the user's data scope."""

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.formatting import group_name
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertSilence, AlertState
from streamer.delivery.silencing import SilenceService, linked_silences
from streamer.panes.pane_keys import ALL
from streamer.readings.query import QueryError, key_values
from streamer.readings.reader import MetricsReader
from streamer.readings.window_query import rfc3339_from_ms
from streamer.runtime.clock import Clock
from streamer.web import alert_actions
from streamer.web.alert_actions import author_name, parse_action, run_alert_action
from streamer.web.alert_routes import requested_rule, require_coordinator
from streamer.web.alert_view import NamesByDimension
from streamer.web.api import check_parameters, json_response, require_data_scope
from streamer.web.audit_log import AuditLog
from streamer.web.paging import PAGE_PARAMETERS, list_page
from streamer.web.permissions import DataScope, Forbidden

SILENCES_PATH: Final = "/api/v1/silences"
MAX_SILENCES: Final = 1_000
"""Most silences at a time, and of a page."""
MAX_USER_SILENCES: Final = 100
"""Most silences of one author at a time."""


class SilenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A silence as the API lists it; times in ms since the epoch. `key` and `group` are None if it covers all
    groups. `may_end` tells whether this user may end it."""

    id: str
    rule: str
    key: str | None
    group: str | None
    since: int
    until: int
    by: str
    comment: str
    may_end: bool


class SilenceRoutes:
    """List, create and end silences. Without `silencing` they can only be listed."""

    def __init__(
        self,
        reader: MetricsReader,
        coordinator: AlertCoordinator | None,
        silencing: SilenceService | None,
        names: NamesByDimension,
        clock: Clock,
        audit: AuditLog,
    ) -> None:
        self._reader, self._coordinator, self._silencing = reader, coordinator, silencing
        self._names, self._clock, self._audit = names, clock, audit
        self._creating = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route(SILENCES_PATH, self._list_silences),
            Route(SILENCES_PATH, self._create_silence, methods=["POST"]),
            Route(f"{SILENCES_PATH}/{{name}}", self._end_silence, methods=["DELETE"]),
        ]

    async def _list_silences(self, request: Request) -> Response:
        """Answer with the visible silences that have not ended, the first to end first."""
        check_parameters(request, PAGE_PARAMETERS)
        record, data_scope = require_coordinator(self._coordinator).state, self._data_scope(request)
        active_silences = [silence for silence in record.silences.values() if silence.until > self._clock()]
        visible = [silence for silence in active_silences if self._is_visible(data_scope, silence)]
        page = list_page(request, visible, lambda silence: (silence.until, silence.id), MAX_SILENCES)
        return json_response(
            [self._silence_view(record, silence, data_scope) for silence in page.items], page.headers
        )

    async def _create_silence(self, request: Request) -> Response:
        """Create a silence; answer with a list of the new one (201)."""
        check_parameters(request, ())
        silencing, action = (
            self._require_silencing(),
            await parse_action(request, alert_actions.SilenceAction),
        )
        rule, data_scope = (
            requested_rule(require_coordinator(self._coordinator), "rule", action.rule),
            self._data_scope(request),
        )
        key = _parse_key(rule, action.key)
        _check_group_access(data_scope, rule, key)
        until_ms = action.ends_at(self._clock())
        author = author_name(data_scope.user)
        async with self._creating:  # two at once would both find room for the last one
            await self._require_room(author)
            silence = await run_alert_action(
                silencing.silence(rule.name, key, until_ms, author, action.comment)
            )
        self._audit.record(
            request,
            "silence created",
            silence=silence.id,
            rule=rule.name,
            key=key,
            until=rfc3339_from_ms(until_ms),
        )
        response = json_response(
            [self._silence_view(require_coordinator(self._coordinator).state, silence, data_scope)]
        )
        response.status_code = HTTPStatus.CREATED
        return response

    async def _end_silence(self, request: Request) -> Response:
        check_parameters(request, ())
        coordinator, silencing, data_scope = (
            require_coordinator(self._coordinator),
            self._require_silencing(),
            self._data_scope(request),
        )
        record = await run_alert_action(
            coordinator.update(lambda unchanged: unchanged)
        )  # read again: another server may have created it
        silence_id = request.path_params["name"]
        silence = record.silences.get(silence_id)
        if silence is None or not self._is_visible(data_scope, silence):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{silence_id!r}: no such silence")
        if not self._may_end(data_scope, record, silence):
            raise Forbidden(_ALL_TEAMS)
        await run_alert_action(silencing.unsilence(silence_id))
        self._audit.record(
            request, "silence ended", silence=silence_id, rule=silence.rule, key=silence.key, by=silence.by
        )
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _require_room(self, author: str) -> None:
        """Raise HTTPException (409) if the author, or all together, have too many silences."""
        coordinator = require_coordinator(self._coordinator)
        record = await run_alert_action(coordinator.update(lambda unchanged: unchanged))
        authors = [silence.by for silence in record.silences.values() if silence.until > self._clock()]
        if authors.count(author) >= MAX_USER_SILENCES:
            detail = f"you have {MAX_USER_SILENCES} silences already: end some, or silence a whole rule"
            raise HTTPException(HTTPStatus.CONFLICT, detail)
        if len(authors) >= MAX_SILENCES:
            detail = f"there are {MAX_SILENCES} silences already: end some, or silence a whole rule"
            raise HTTPException(HTTPStatus.CONFLICT, detail)

    def _require_silencing(self) -> SilenceService:
        if self._silencing is None:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "this server cannot change silences")
        return self._silencing

    def _data_scope(self, request: Request) -> DataScope:
        return require_data_scope(request, self._reader, self._clock())

    def _rule_of(self, silence: AlertSilence) -> AlertRule | None:
        return next(
            (rule for rule in require_coordinator(self._coordinator).rules if rule.name == silence.rule), None
        )

    def _is_visible(self, data_scope: DataScope, silence: AlertSilence) -> bool:
        """Tell whether the user sees a silence.

        If its rule no longer exists, its dimension is unknown: then only users who see all teams do."""
        rule = self._rule_of(silence)
        if rule is None:
            return data_scope.user.teams is None
        return silence.key is None or data_scope.may_see(rule.by, silence.key)

    def _may_end(self, data_scope: DataScope, record: AlertState, silence: AlertSilence) -> bool:
        """Tell whether the user may end a silence and all that end together with it.

        Nobody ends more than they may create."""
        together = linked_silences(record, silence.id)
        return data_scope.user.teams is None or all(
            linked_silence.key is not None and self._is_visible(data_scope, linked_silence)
            for linked_silence in together
        )

    def _silence_view(self, record: AlertState, silence: AlertSilence, data_scope: DataScope) -> SilenceView:
        rule = self._rule_of(silence)
        group = (
            silence.key
            if rule is None or silence.key is None
            else group_name(self._names, rule.by, silence.key)
        )
        return SilenceView(
            id=silence.id,
            rule=silence.rule,
            key=silence.key,
            group=group,
            since=silence.since,
            until=silence.until,
            by=silence.by,
            comment=silence.comment,
            may_end=self._may_end(data_scope, record, silence),
        )


_ALL_TEAMS: Final = "key: expected one group; only users who see all teams may silence all groups of a rule"


def _check_group_access(data_scope: DataScope, rule: AlertRule, key: str | None) -> None:
    """Raise Forbidden for a group out of scope, or for all groups (None) if the user is limited to teams."""
    if key is not None:
        data_scope.require_access(rule.by, key)
    elif data_scope.user.teams is not None:
        raise Forbidden(_ALL_TEAMS)


def _parse_key(rule: AlertRule, key: str | None) -> str | None:
    """Validate the key for the rule's dimension; None stands for all groups. Raise QueryError."""
    if key is None or (rule.by == ALL and not key):
        return None
    if rule.by == ALL:
        raise QueryError(f"key = {key!r}: expected null: {rule.name} covers the whole center")
    if rule.key and key != rule.key:
        raise QueryError(f"key = {key!r}: expected {rule.key!r}: {rule.name} covers only that")
    if not key:
        raise QueryError(f"key = {key!r}: expected a value for each of {rule.by}")
    key_values(rule.by, key)
    return key
