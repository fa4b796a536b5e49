"""Routes below `/api/v1/alerts`: list alerts, acknowledge them, explain why they fire."""

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.rules import Rule
from streamer.alerts.showing.explaining import explanation
from streamer.alerts.states import Phase
from streamer.delivery.bell import Bell
from streamer.delivery.record import TOLD, Acknowledgement, Record, acknowledged
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.readings.times import milliseconds
from streamer.web.alarm import PHASES, Alarm, Known, Names, alarms, of_trouble, seen, worst_first
from streamer.web.api import answer, many, one, only, sight_of
from streamer.web.follower import Clock
from streamer.web.orders import Acknowledge, done, name_of, ordered
from streamer.web.rights import Sight
from streamer.web.troubles import Troubles

PATH: Final = "/api/v1/alerts"


class Alarms:
    """List, acknowledge and explain alerts. Without an AlertCoordinator (`bell` None) only pipeline problems
    are listed, and the other routes answer 503."""

    def __init__(
        self, reader: Reader, troubles: Troubles, bell: Bell | None, names: Names, clock: Clock
    ) -> None:
        self._reader, self._troubles, self._bell = reader, troubles, bell
        self._names, self._clock = names, clock

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._listed),
            Route(f"{PATH}/acknowledge", self._acknowledge, methods=["POST"]),
            Route(f"{PATH}/explain", self._explain),
        ]

    async def _listed(self, request: Request) -> Response:
        """Answer with all visible alerts, worst first. Pipeline problems come even before the first read."""
        only(request, ("phase",))
        phases, now = _phases(request), self._clock()
        sight = Sight(request.scope["person"], self._reader, now)
        return answer(sorted(self._found(sight, phases, now), key=worst_first))

    def _found(self, sight: Sight, phases: Collection[Phase], now: int) -> Iterator[Alarm]:
        """Yield pipeline problems, then alerts, without alerts that repeat a current pipeline problem."""
        if "firing" in phases:
            yield from map(of_trouble, self._troubles.alerts(now))
        in_trouble = self._troubles.lately(now)
        for alarm in alarms(Known.of(self._bell, self._names), phases, now):
            is_said = in_trouble and alarm.what == "odd" and alarm.phase in TOLD
            if not is_said and (shown := seen(alarm, sight)) is not None:
                yield shown

    async def _acknowledge(self, request: Request) -> Response:
        """Acknowledge an alert or take that back; answer with a list of the one alert as it is afterwards."""
        only(request, ())
        bell, order, now = there(self._bell), await ordered(request, Acknowledge), self._clock()
        sight, known = sight_of(request, self._reader, now), Known.of(bell, self._names)
        how = Acknowledgement(name_of(sight.person), now, order.comment)

        def change(record: Record) -> Record:
            alarm = _named(known._replace(record=record), order.id, sight, now)
            if order.acknowledged and alarm.phase == "resolved":
                raise HTTPException(HTTPStatus.CONFLICT, f"id = {order.id!r}: this alert is resolved")
            return acknowledged(record, order.id, how if order.acknowledged else None)

        record = await done(bell.change(change))
        return answer([_named(known._replace(record=record), order.id, sight, now)])

    async def _explain(self, request: Request) -> Response:
        only(request, ("name", "key", "at"))
        bell, now = there(self._bell), self._clock()
        rule, key = rule_of(bell, "name", one(request, "name")), one(request, "key")
        at, sight = _moment(one(request, "at"), now), sight_of(request, self._reader, now)
        sight.permit(rule.by, key)
        found = await bell.judging(lambda watch: explanation(watch, rule, key, now, at))
        return answer([why for why in found if sight.sees(why.by, why.key)])


def there(bell: Bell | None) -> Bell:
    """Return the coordinator. Raise HTTPException (503) where this server evaluates no alert rules."""
    if bell is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "nobody judges alerts here")
    return bell


def rule_of(bell: Bell, field: str, name: str | None) -> Rule:
    """Find a rule by name. Raise QueryError that names the request's `field` and the known rules."""
    for rule in bell.rules:
        if rule.name == name:
            return rule
    known = ", ".join(rule.name for rule in bell.rules) or "the alert rules, but none is configured"
    raise QueryError(f"{field} = {name!r}: expected one of {known}")


def _named(known: Known, name: str, sight: Sight, now: int) -> Alarm:
    """Find an alert by its episode. Raise HTTPException (404) if this user sees no such alert."""
    for alarm in alarms(known, PHASES, now):
        if alarm.id == name and (shown := seen(alarm, sight)) is not None:
            return shown
    raise HTTPException(HTTPStatus.NOT_FOUND, f"id = {name!r}: no such alert")


def _phases(request: Request) -> Collection[Phase]:
    asked = many(request, "phase")
    for phase in asked:
        if phase not in PHASES:
            raise QueryError(f"phase = {phase!r}: expected some of {', '.join(PHASES)}")
    return [phase for phase in PHASES if phase in (asked or TOLD)]


def _moment(text: str | None, now: int) -> int | None:
    at = milliseconds("at", text) if text else None
    if at is not None and at > now:
        raise QueryError(f"at = {text!r}: expected a time that is not in the future")
    return at
