"""Routes of `/api/v1/silences`: list, create and end silences, within the user's data scope."""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.rules import Rule
from streamer.alerts.words import called
from streamer.delivery.bell import Bell
from streamer.delivery.record import Record, Silence
from streamer.delivery.silencing import Silencing, together
from streamer.panes.pane_keys import ALL
from streamer.readings.query import QueryError, key_parts
from streamer.readings.reader import Reader
from streamer.web import orders
from streamer.web.alarm import Names
from streamer.web.alarms import rule_of, there
from streamer.web.api import answer, only, sight_of
from streamer.web.follower import Clock
from streamer.web.orders import done, name_of, ordered
from streamer.web.rights import Forbidden, Sight

PATH: Final = "/api/v1/silences"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
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


class Silences:
    """List, create and end silences. Without `silencing` they can only be listed."""

    def __init__(
        self, reader: Reader, bell: Bell | None, silencing: Silencing | None, names: Names, clock: Clock
    ) -> None:
        self._reader, self._bell, self._silencing = reader, bell, silencing
        self._names, self._clock = names, clock

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._listed),
            Route(PATH, self._begin, methods=["POST"]),
            Route(f"{PATH}/{{name}}", self._end, methods=["DELETE"]),
        ]

    async def _listed(self, request: Request) -> Response:
        """Answer with the visible silences that have not ended, the first to end first."""
        only(request, ())
        record, sight = there(self._bell).record, self._sight(request)
        lasting = [one for one in record.silences.values() if one.until > self._clock()]
        lasting.sort(key=lambda one: one.until)
        return answer([self._shown(record, one, sight) for one in lasting if self._sees(sight, one)])

    async def _begin(self, request: Request) -> Response:
        """Create a silence; answer with a list of the new one (201)."""
        only(request, ())
        silencing, order = self._there(), await ordered(request, orders.Silence)
        rule, sight = rule_of(there(self._bell), "rule", order.rule), self._sight(request)
        key = _key(rule, order.key)
        _permit(sight, rule, key)
        until = order.ends_at(self._clock())
        by = name_of(sight.person)
        made = await done(silencing.silence(rule.name, key, until, by, order.comment))
        told = answer([self._shown(there(self._bell).record, made, sight)])
        told.status_code = HTTPStatus.CREATED
        return told

    async def _end(self, request: Request) -> Response:
        only(request, ())
        bell, silencing, sight = there(self._bell), self._there(), self._sight(request)
        record = await done(bell.change(lambda now: now))  # read again: another server may have created it
        name = request.path_params["name"]
        silence = record.silences.get(name)
        if silence is None or not self._sees(sight, silence):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{name!r}: no such silence")
        if not self._may_end(sight, record, silence):
            raise Forbidden(_ALL_TEAMS)
        await done(silencing.unsilence(name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _there(self) -> Silencing:
        if self._silencing is None:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "this server cannot change silences")
        return self._silencing

    def _sight(self, request: Request) -> Sight:
        return sight_of(request, self._reader, self._clock())

    def _rule(self, silence: Silence) -> Rule | None:
        return next((rule for rule in there(self._bell).rules if rule.name == silence.rule), None)

    def _sees(self, sight: Sight, silence: Silence) -> bool:
        """Tell whether the user sees a silence.

        If its rule no longer exists, its dimension is unknown: then only users who see all teams do."""
        rule = self._rule(silence)
        if rule is None:
            return sight.person.teams is None
        return silence.key is None or sight.may_see(rule.by, silence.key)

    def _may_end(self, sight: Sight, record: Record, silence: Silence) -> bool:
        """Tell whether the user may end a silence and all that end together with it.

        Nobody ends more than they may create."""
        ends = together(record, silence.id)
        return sight.person.teams is None or all(
            one.key is not None and self._sees(sight, one) for one in ends
        )

    def _shown(self, record: Record, one: Silence, sight: Sight) -> Shown:
        rule = self._rule(one)
        group = one.key if rule is None or one.key is None else called(self._names, rule.by, one.key)
        return Shown(
            id=one.id,
            rule=one.rule,
            key=one.key,
            group=group,
            since=one.since,
            until=one.until,
            by=one.by,
            comment=one.comment,
            may_end=self._may_end(sight, record, one),
        )


_ALL_TEAMS: Final = "key: expected one group; only users who see all teams may silence all groups of a rule"


def _permit(sight: Sight, rule: Rule, key: str | None) -> None:
    """Raise Forbidden for a group out of scope, or for all groups (None) if the user is limited to teams."""
    if key is not None:
        sight.permit(rule.by, key)
    elif sight.person.teams is not None:
        raise Forbidden(_ALL_TEAMS)


def _key(rule: Rule, key: str | None) -> str | None:
    """Validate the key for the rule's dimension; None stands for all groups. Raise QueryError."""
    if key is None or (rule.by == ALL and not key):
        return None
    if rule.by == ALL:
        raise QueryError(f"key = {key!r}: expected null: {rule.name} covers the whole center")
    if rule.key and key != rule.key:
        raise QueryError(f"key = {key!r}: expected {rule.key!r}: {rule.name} covers only that")
    if not key or len(key_parts(rule.by, key)) != len(rule.by.split(",")):
        raise QueryError(f"key = {key!r}: expected a value for each of {rule.by}")
    return key
