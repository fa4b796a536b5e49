"""Permissions: who may use which route, and which part of the data a user sees."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

import msgspec
from starlette.exceptions import HTTPException

from streamer.panes.pane_keys import ALL, Grouping
from streamer.readings import suppression
from streamer.readings.pauses import Pause, no_pause, paused
from streamer.readings.query import Query, Reading, dimensions
from streamer.readings.reader import Reader
from streamer.web.people import Person

Rank = Literal["anyone", "display", "viewer", "supervisor", "admin"]
RANKS: Final[tuple[Rank, ...]] = ("anyone", "display", "viewer", "supervisor", "admin")


class Right(NamedTuple):
    """The permission that a route needs: at least rank `min_rank`.

    `all_teams`: only for users who are not restricted to some teams. `signed`: the request carries its own
    signature, and no user or page of this site is involved."""

    least: Rank
    all_teams: bool = False
    signed: bool = False


RIGHTS: Final[Mapping[str, Right]] = {
    "/healthz": Right("anyone"),
    "/readyz": Right("anyone"),
    "/login": Right("anyone"),
    "/logout": Right("anyone"),
    "/ingest/{source}": Right("anyone", signed=True),
    "/static/{path:path}": Right("anyone"),
    "/": Right("display"),
    "/api/v1/me": Right("display"),
    "/api/v1/stream": Right("display"),
    "/api/v1/catalog": Right("display"),
    "/api/v1/names": Right("viewer"),
    "/api/v1/readings": Right("viewer"),
    "/api/v1/history": Right("viewer"),
    "/api/v1/alerts": Right("viewer"),
    "/metrics": Right("viewer", all_teams=True),
    "/supervisor": Right("supervisor"),
    "/api/v1/alerts/acknowledge": Right("supervisor"),
    "/api/v1/alerts/explain": Right("supervisor"),
    "/api/v1/alerts/rules": Right("supervisor"),
    "/api/v1/silences": Right("supervisor"),
    "/api/v1/silences/{name}": Right("supervisor"),
    "/api/v1/contacts": Right("supervisor"),
    "/api/v1/distribution": Right("supervisor"),
}
"""Permissions by the route's path. A route that is not listed is refused to everybody."""


def rank(person: Person | None) -> Rank:
    """Return the rank of a user: their role, "display" for a display, "anyone" for nobody (None).

    >>> rank(Person("lobby", "viewer", view="default")), rank(None)
    ('display', 'anyone')
    """
    if person is None:
        return "anyone"
    return "display" if person.view is not None else person.role


def is_signed(path: str | None) -> bool:
    return path is not None and path in RIGHTS and RIGHTS[path].signed


def may(person: Person | None, path: str) -> bool:
    """Tell whether a user may use the route with this path.

    >>> may(Person("Ana", "supervisor"), "/api/v1/silences"), may(Person("Tom", "viewer"), "/api/v1/silences")
    (True, False)
    """
    right = RIGHTS.get(path)
    if right is None or RANKS.index(rank(person)) < RANKS.index(right.least):
        return False
    return not right.all_teams or person is None or person.teams is None


class Forbidden(HTTPException):
    """An error (403) for data outside the scope of the user."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


Verdict = tuple[frozenset[suppression.Place], frozenset[suppression.Place]]
"""Readings that must be suppressed, and all that were judged."""


class Sight:
    """The data that a user sees at one moment.

    An admin sees everything; a supervisor with teams only these teams and their agents; a viewer no agents,
    and no survey figure that would reveal the answer of a single customer."""

    def __init__(self, person: Person, reader: Reader, now_ms: int, pause: Pause = no_pause) -> None:
        self.person, self._reader, self._now, self._pause = person, reader, now_ms, pause
        self._agents: Collection[str] | None = None
        self._verdicts: dict[tuple[Query, ...], Verdict] = {}

    def readings(self, query: Query) -> list[Reading]:
        """Read the visible readings of a query. Raise QueryError and Forbidden."""
        self.permit(query.by, query.key)
        found = [*paused(self._reader.each(query), self._pause)]
        if self.person.teams is not None:
            return [one for one in found if self.sees(one.by, one.key)]
        if self.person.role != "viewer" or not any(one.metric in suppression.ANSWERS for one in found):
            return found
        return suppression.without(found, *self._verdict(query))

    def _verdict(self, query: Query) -> Verdict:
        """Return what must be suppressed, and what was judged; cached for queries about the same groups."""
        asked = tuple(suppression.questions(query, self._pairs()))
        if asked not in self._verdicts:
            whole = [one for each in asked for one in paused(self._reader.each(each), self._pause)]
            self._verdicts[asked] = suppression.hidden(whole), suppression.judged(whole)
        return self._verdicts[asked]

    def history(self, query: Query, first: int, last: int, step: int) -> list[Reading]:
        """Read the history from `first_ms` to `last_ms` every `step_ms`. Raise QueryError and Forbidden."""
        self.permit(query.by, query.key)
        found = self._reader.history(query, first, last, step)
        answers = suppression.ANSWERS.get(query.metrics[0])
        if self.person.role != "viewer" or answers is None:
            return found
        if query.by != ALL:
            raise Forbidden(f"by = {query.by!r}: viewers see the history of survey figures by {ALL} only")
        counted = msgspec.structs.replace(query, metrics=(answers,), stat=None)
        return suppression.of_many(found, self._reader.history(counted, first, last, step))

    def may_see(self, by: str, key: str) -> bool:
        return (self.person.agent_names or "agent" not in by.split(",")) and self.sees(by, key)

    def permit(self, by: str, key: str | None) -> None:
        """Raise Forbidden unless the user may query these groups, or the one group with this key."""
        if "agent" in by.split(",") and not self.person.agent_names:
            raise Forbidden(f"by = {by!r}: viewers may not see figures by agent")
        if key and not self.sees(by, key):
            raise Forbidden(f"key = {key!r}: not one of your teams, nor of their agents")

    def sees(self, by: str, key: str) -> bool:
        """Tell whether a group belongs to the user's teams, or to no team at all."""
        if self.person.teams is None:
            return True
        named, asked = dimensions(by, key), by.split(",")
        if "team" in asked:
            return named.get("team") in self.person.teams
        return "agent" not in asked or named.get("agent") in self.agents()

    def _pairs(self) -> list[Grouping]:
        return [pair for pair in self._reader.pairs if self.person.agent_names or "agent" not in pair]

    def agents(self) -> Collection[str]:
        """Return the agents who took contacts for one of the user's teams within a week."""
        if self._agents is None:
            self._agents = self._reader.agents_of(self.person.teams or (), self._now)
        return self._agents
