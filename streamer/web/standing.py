"""The alert rules with the number of groups whose baseline is learned: `/api/v1/alerts/rules`."""

from collections.abc import Iterator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.judging.drops import LEAST_LEARNED
from streamer.alerts.judging.series import Series
from streamer.alerts.rules import Rule
from streamer.alerts.verdict import Kind
from streamer.alerts.watch import Watch, place
from streamer.delivery.bell import Bell
from streamer.events.rules import MINUTE
from streamer.readings.reader import Reader
from streamer.settings import Severity
from streamer.web.alarms import there
from streamer.web.api import answer, only, sight_of
from streamer.web.follower import Clock


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An alert rule and its state.

    `false_alarms` is the most that it allows a month, for each group, or with `shared` for all together.
    `groups` is the number of its groups, `known` the number of those whose baseline is learned; both are None
    for rules that need no baseline."""

    name: str
    kind: Kind
    metric: str
    by: str
    key: str
    window: str
    severity: Severity
    false_alarms: float
    shared: bool
    groups: int | None
    known: int | None


class Standings:
    """Serve the status of every rule. It hardly changes, so it is computed at most once a minute."""

    def __init__(self, reader: Reader, bell: Bell | None, clock: Clock) -> None:
        self._reader, self._bell, self._clock = reader, bell, clock
        self._minute, self._found = -1, list[Standing]()

    def routes(self) -> list[Route]:
        return [Route("/api/v1/alerts/rules", self._listed)]

    async def _listed(self, request: Request) -> Response:
        only(request, ())
        bell, now = there(self._bell), self._clock()
        sight = sight_of(request, self._reader, now)
        if now // MINUTE != self._minute:
            self._found = await bell.judging(lambda watch: standings(watch, now))
            self._minute = now // MINUTE
        return answer([one for one in self._found if not one.key or sight.may_see(one.by, one.key)])


def standings(watch: Watch, now: int) -> list[Standing]:
    """Return the status of every rule at `now_ms` (since the epoch)."""
    moment = watch.moment(now)
    seen = {by: watch.seen(by, moment) for by in {rule.by: None for rule in watch.rules}}
    return [_standing(rule, [*_supports(rule, seen[rule.by].get(place(rule)))]) for rule in watch.rules]


def _supports(rule: Rule, series: Series | None) -> Iterator[int]:
    """Yield for each group of a rule the number of observations behind its baseline."""
    if series is not None:
        known = zip(series.keys, series.usual.support.tolist(), strict=True)
        yield from (support for key, support in known if rule.key in ("", key))


def _standing(rule: Rule, supports: Sequence[int]) -> Standing:
    needs = rule.kind != "target"
    return Standing(
        name=rule.name,
        kind=rule.kind,
        metric=rule.metric.name,
        by=rule.by,
        key=rule.key,
        window=rule.window,
        severity=rule.severity,
        false_alarms=rule.false_alarms,
        shared=rule.shared,
        groups=len(supports) if needs else None,
        known=sum(1 for support in supports if support >= LEAST_LEARNED) if needs else None,
    )
