"""Permissions: who may use which route, and which part of the data a user sees."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

import msgspec
from starlette.exceptions import HTTPException

from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.panes.pane_keys import ALL, Grouping
from streamer.readings import suppression
from streamer.readings.interval_report import IntervalQuery, IntervalReading
from streamer.readings.pauses import Pause, no_pause, with_pauses
from streamer.readings.query import MetricQuery, QueryError, Reading, dimension_values
from streamer.readings.reader import MetricsReader
from streamer.web.users import User

UserRank = Literal["anyone", "display", "viewer", "supervisor", "admin"]
RANKS: Final[tuple[UserRank, ...]] = ("anyone", "display", "viewer", "supervisor", "admin")


class RoutePermission(NamedTuple):
    """The permission that a route needs: at least rank `min_rank`.

    `all_teams`: only for users who are not restricted to some teams. `signed`: the request carries its own
    signature, and no user or page of this site is involved."""

    min_rank: UserRank
    all_teams: bool = False
    signed: bool = False


ROUTE_PERMISSIONS: Final[Mapping[str, RoutePermission]] = {
    "/healthz": RoutePermission("anyone"),
    "/readyz": RoutePermission("anyone"),
    "/login": RoutePermission("anyone"),
    "/logout": RoutePermission("anyone"),
    "/ingest/{source}": RoutePermission("anyone", signed=True),
    "/static/{path:path}": RoutePermission("anyone"),
    "/": RoutePermission("display"),
    "/api/v1/me": RoutePermission("display"),
    "/api/v1/stream": RoutePermission("display"),
    "/api/v1/catalog": RoutePermission("display"),
    "/api/v1/names": RoutePermission("viewer"),
    "/api/v1/readings": RoutePermission("viewer"),
    "/api/v1/history": RoutePermission("viewer"),
    "/api/v1/intervals": RoutePermission("viewer"),
    "/api/v1/alerts": RoutePermission("viewer"),
    "/metrics": RoutePermission("viewer", all_teams=True),
    "/views": RoutePermission("viewer"),
    "/api/v1/views": RoutePermission("viewer"),
    "/supervisor": RoutePermission("supervisor"),
    "/api/v1/alerts/acknowledge": RoutePermission("supervisor"),
    "/api/v1/alerts/explain": RoutePermission("supervisor"),
    "/api/v1/alerts/rules": RoutePermission("supervisor"),
    "/api/v1/silences": RoutePermission("supervisor"),
    "/api/v1/silences/{name}": RoutePermission("supervisor"),
    "/api/v1/contacts": RoutePermission("supervisor"),
    "/api/v1/waiting": RoutePermission("supervisor"),
    "/api/v1/agents": RoutePermission("supervisor"),
    "/api/v1/distribution": RoutePermission("supervisor"),
}
"""Permissions by the route's path. A route that is not listed is refused to everybody."""


def user_rank(user: User | None) -> UserRank:
    """Return the rank of a user: their role, "display" for a display, "anyone" for nobody (None).

    >>> user_rank(User("lobby", "viewer", view="default")), user_rank(None)
    ('display', 'anyone')
    """
    if user is None:
        return "anyone"
    return "display" if user.view is not None else user.role


def is_signed_route(path: str | None) -> bool:
    return path is not None and path in ROUTE_PERMISSIONS and ROUTE_PERMISSIONS[path].signed


def may_use_route(user: User | None, path: str) -> bool:
    """Tell whether a user may use the route with this path.

    >>> ana, tom = User("Ana", "supervisor"), User("Tom", "viewer")
    >>> may_use_route(ana, "/api/v1/silences"), may_use_route(tom, "/api/v1/silences")
    (True, False)
    """
    permission = ROUTE_PERMISSIONS.get(path)
    if permission is None or RANKS.index(user_rank(user)) < RANKS.index(permission.min_rank):
        return False
    return not permission.all_teams or user is None or user.teams is None


class Forbidden(HTTPException):
    """An error (403) for data outside the scope of the user."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


MAX_READINGS: Final = 100_000
"""Most readings of one answer: about 30 MB."""


def _within_limit(readings: Iterable[Reading]) -> Iterator[Reading]:
    for count, reading in enumerate(readings):
        if count >= MAX_READINGS:
            raise QueryError(
                f"expected a question about at most {MAX_READINGS} readings: ask for fewer metrics or "
                "windows, for one key, or for pages of groups with limit"
            )
        yield reading


SuppressionVerdict = tuple[frozenset[suppression.AnswerGroup], frozenset[suppression.AnswerGroup]]
"""Readings that must be suppressed, and all that were judged."""


class DataScope:
    """The data that a user sees at one moment.

    An admin sees everything; a supervisor with teams only these teams and their agents; a viewer no agents,
    and no survey figure that would reveal the answer of a single customer."""

    def __init__(self, user: User, reader: MetricsReader, now_ms: int, pause: Pause = no_pause) -> None:
        self.user, self._reader, self._now_ms, self._pause = user, reader, now_ms, pause
        self._own_agents: Collection[str] | None = None
        self._served_queues: Collection[str] | None = None
        self._verdicts: dict[tuple[MetricQuery, ...], SuppressionVerdict] = {}

    def readings(self, query: MetricQuery) -> list[Reading]:
        """Read the visible readings of a query. Raise QueryError, also for too many, and Forbidden."""
        return [*_within_limit(self.iter_readings(query))]

    def iter_readings(self, query: MetricQuery) -> Iterator[Reading]:
        """Yield the same readings, computed one by one, however many."""
        self.require_access(query.by, query.key)
        readings = with_pauses(self._reader.iter_readings(query), self._pause)
        if self.user.teams is not None:
            return (reading for reading in readings if self.covers(reading.by, reading.key))
        if self.user.role != "viewer" or not (
            {*query.metrics} & {*suppression.ANSWER_METRIC_OF} or not query.metrics
        ):
            return readings
        return suppression.blank_hidden(readings, *self._verdict(query))

    def group_keys(self, by: str) -> list[str]:
        """Return the keys of all visible groups, in order. Raise Forbidden."""
        self.require_access(by, None)
        return [key for key in self._reader.group_keys(by) if self.covers(by, key)]

    def gaps(self, query: MetricQuery) -> list[str]:
        """Return what a query asks for and no reading answers; no key is named that may not be seen."""
        return self._reader.gaps(query, lambda key: self.covers(query.by, key))

    def _verdict(self, query: MetricQuery) -> SuppressionVerdict:
        """Return what must be suppressed, and what was judged; cached for queries about the same groups."""
        queries = tuple(suppression.required_queries(query, self._visible_pairs()))
        if queries not in self._verdicts:
            readings = [
                reading
                for related_query in queries
                for reading in with_pauses(self._reader.iter_readings(related_query), self._pause)
            ]
            self._verdicts[queries] = (
                suppression.hidden_groups(readings),
                suppression.counted_groups(readings),
            )
        return self._verdicts[queries]

    def history(self, query: MetricQuery, first_ms: int, last_ms: int, step_ms: int) -> list[Reading]:
        """Read the history from `first_ms` to `last_ms` every `step_ms`. Raise QueryError and Forbidden."""
        self.require_access(query.by, query.key)
        readings = self._reader.history(query, first_ms, last_ms, step_ms)
        answers_metric = suppression.ANSWER_METRIC_OF.get(query.metrics[0])
        if self.user.role != "viewer" or answers_metric is None:
            return readings
        self._require_answers_of_all(query.by)
        answers_query = msgspec.structs.replace(query, metrics=(answers_metric,), stat=None)
        return suppression.suppress_history(
            readings, self._reader.history(answers_query, first_ms, last_ms, step_ms)
        )

    def intervals(self, query: IntervalQuery) -> list[IntervalReading]:
        """Read an interval report. Raise QueryError and Forbidden."""
        groups = query.metrics
        self.require_access(groups.by, groups.key)
        if self.user.teams is not None and groups.key is None:
            keys = groups.keys if groups.keys is not None else frozenset(self._reader.group_keys(groups.by))
            visible_keys = frozenset(key for key in keys if self.covers(groups.by, key))
            groups = msgspec.structs.replace(groups, keys=visible_keys)
            query = msgspec.structs.replace(query, metrics=groups)
        readings = [*self._reader.intervals(query, self._pause)]
        answers_metrics = {suppression.ANSWER_METRIC_OF.get(reading.metric) for reading in readings} - {None}
        if self.user.role != "viewer" or not answers_metrics:
            return readings
        self._require_answers_of_all(groups.by)
        counted = msgspec.structs.replace(groups, metrics=tuple(filter(None, answers_metrics)), stat=None)
        answers = self._reader.intervals(msgspec.structs.replace(query, metrics=counted), self._pause)
        return suppression.suppress_intervals(readings, answers)

    def _require_answers_of_all(self, by: str) -> None:
        """Raise Forbidden for the past of survey figures by group: it would show single answers."""
        if self.user.role == "viewer" and by != ALL:
            raise Forbidden(f"by = {by!r}: viewers see the history of survey figures by {ALL} only")

    def may_see(self, by: str, key: str) -> bool:
        return (self.user.agent_names or "agent" not in by.split(",")) and self.covers(by, key)

    def require_access(self, by: str, key: str | None) -> None:
        """Raise Forbidden unless the user may query these groups, or the one group with this key."""
        if "agent" in by.split(",") and not self.user.agent_names:
            raise Forbidden(f"by = {by!r}: viewers may not see figures by agent")
        if key and not self.covers(by, key):
            raise Forbidden(f"key = {key!r}: not one of your teams, nor of their agents")

    def covers(self, by: str, key: str) -> bool:
        """Tell whether a group belongs to the user's teams, or to no team at all."""
        if self.user.teams is None:
            return True
        key_by_dimension, requested_dimensions = dimension_values(by, key), by.split(",")
        if "team" in requested_dimensions:
            return key_by_dimension.get("team") in self.user.teams
        return "agent" not in requested_dimensions or key_by_dimension.get("agent") in self.own_agents()

    def covers_agent(self, agent: LiveAgent) -> bool:
        """Tell whether an agent is in one of the user's teams, or took contacts for one."""
        teams = self.user.teams
        return teams is None or agent.team in teams or agent.agent_id in self.own_agents()

    def covers_contact(self, contact: LiveContact) -> bool:
        """Tell whether a contact under way is one of the user's teams: by its team or agent; one without
        either if it is in a queue that one of their agents serves."""
        teams = self.user.teams
        if teams is None or contact.team in teams or contact.agent_id in self.own_agents():
            return True
        return contact.team is None and contact.agent_id is None and contact.queue in self._own_queues()

    def _own_queues(self) -> Collection[str]:
        """Return the queues that agents of the user's teams serve now."""
        if self._served_queues is None:
            agents = self._reader.live_state().signed_in(self._now_ms)
            self._served_queues = {
                queue for agent in agents if self.covers_agent(agent) for queue in agent.queues
            }
        return self._served_queues

    def _visible_pairs(self) -> list[Grouping]:
        return [pair for pair in self._reader.pairs if self.user.agent_names or "agent" not in pair]

    def own_agents(self) -> Collection[str]:
        """Return the agents who took contacts for one of the user's teams within a week."""
        if self._own_agents is None:
            self._own_agents = self._reader.agents_of(self.user.teams or (), self._now_ms)
        return self._own_agents
