"""Drill down from a metric's figure to the contacts it counts.

A contact belongs to a figure if the metric has a sample when computed from that contact alone; the metric's
value for it alone says how bad it is. The counts say which panes to search. A pane's deltas name the
journeys counted in it, and folding those journeys again says which of their contacts count, as they are now.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from math import inf
from typing import Final, Literal, NamedTuple, Self

import msgspec

from streamer.events.models import DIMENSIONS, QUESTIONS, Response
from streamer.events.rules import UNKNOWN, Rules
from streamer.journeys.journey import Journey, Key, last_segment
from streamer.metrics.catalogue import Metric, evaluate
from streamer.metrics.formulas import Context, Figure, TallyCounts
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.fold import Contribution, GroupInContext, fold, handle_ms
from streamer.panes.pane_keys import ALL, FINE_MS, Cell
from streamer.readings.columns import Fine, View, Zones
from streamer.readings.look import Look, rfc3339
from streamer.store.port import Store

Order = Literal["newest", "worst"]
LOOKED_AT: Final = 20_000
"""How many cells are searched for the worst contacts, the newest first."""
NEWEST: Final = 1_000
"""How many cells of the newest contacts are read: more than one response lists."""
READ: Final = 2_000
"""How many journeys are read at most for one response."""
_ANSWERED: Final = NUMBER["answered"]
_TEAM: Final = DIMENSIONS.index("team")
_QUEUE: Final = DIMENSIONS.index("queue")


class Contact(msgspec.Struct, frozen=True):
    """A contact as it is now, with its surveys.

    Durations are in seconds, of its last answered segment (if none was answered, of its last one);
    `segments` counts its segments. `time` is where it counts for the metric. `answers` and `comment` are
    those of its newest response. A contact known only by its survey has no contact id."""

    contact_id: str | None
    customer_id: str | None
    time: str
    ended_at: str | None
    site: str | None
    queue: str | None
    team: str | None
    agent: str | None
    channel: str | None
    reason: str | None
    language: str | None
    direction: str | None
    outcome: str | None
    transfer: str | None
    resolved: bool | None
    wait_s: float | None
    talk_s: float | None
    hold_s: float | None
    acw_s: float | None
    handle_s: float | None
    segments: int
    answers: dict[str, int | bool]
    answered_at: str | None
    comment: str | None
    qa_score: float | None
    repeat: bool | None
    first_contact_resolved: bool | None


class Span(NamedTuple):
    """The 10 s panes [first, last), for the queues of one zone (None: all queues)."""

    zone: str | None
    first: int
    last: int


class Number(NamedTuple):
    """The figure to drill down into: a metric of one group over some panes. `teams`: only their contacts."""

    metric: Metric
    stat: str
    by: str
    key: str
    spans: Sequence[Span]
    teams: Collection[str] | None = None

    @classmethod
    def of(cls, look: Look, teams: Collection[str] | None) -> Self:
        """Return the drill-down of a window query. Hour panes are read as the 10 s panes in them, which are
        kept for 50 h."""
        ((metric, (stat,)),) = look.asked.metrics
        runs = look.runs(look.part(metric))
        spans = [Span(zone, panes.start // FINE_MS, panes.end // FINE_MS) for zone, panes in runs]
        return cls(metric, stat, look.asked.query.by, look.asked.key or "", spans, teams)

    def figure(self, tally: Tally) -> Figure:
        """Evaluate the metric from these counts alone; of durations always the mean."""
        stat = "mean" if "mean" in self.metric.stats else self.stat
        counts = TallyCounts(tally)
        return evaluate(self.metric, stat, counts, Context(1.0, int(tally.get(_ANSWERED, 0) > 0), counts))

    def badness(self, figure: Figure) -> float:
        """Return the value with the sign that makes worse figures larger; no data counts as 0."""
        value = figure.value or 0.0
        return value if self.metric.better == "lower" else -value

    def places(self, fine: Fine, order: Order) -> list["Place"]:
        """List the panes that contribute to the figure, in the order in which to search them."""
        found: dict[int, float] = {}
        for pane, figure in self._cells(fine, NEWEST if order == "newest" else LOOKED_AT):
            # A cell with several contacts only has their mean: any of them may be the worst.
            bad = inf if figure.support > 1 else self.badness(figure)
            found[pane] = max(found.get(pane, -inf), bad) if order == "worst" else 0.0
        return sorted((Place(bad, pane) for pane, bad in found.items()), reverse=True)

    def _cells(self, fine: Fine, most: int) -> Iterator[tuple[int, Figure]]:
        """Yield panes with their figures, the newest of each span first. Each span ends after about `limit`
        figures or MAX_CELLS cells."""
        for span in self.spans:
            view, looked, found = View(self.by, zone=span.zone), 0, 0
            for pane in sorted(fine.leaves.panes(span.first, span.last), reverse=True):
                for tally in fine.tallies(pane, view, self.key, self.teams):
                    looked += 1
                    figure = self.figure(tally)
                    if figure.support > 0:
                        found += 1
                        yield pane, figure
                if looked >= LOOKED_AT or found >= most:
                    break

    def holds(self, row: Contribution, zones: Zones) -> bool:
        pane, cell = row.time_ms // FINE_MS, row.cell
        if self.teams is not None and cell[_TEAM] not in self.teams:
            return False
        if _key(self.by, cell) != self.key:
            return False
        zone = zones.of(cell[_QUEUE])
        return any(span.first <= pane < span.last and span.zone in (None, zone) for span in self.spans)


def _key(by: str, cell: Cell) -> str:
    """Return a cell's group key, as readings write it.

    >>> _key("queue,channel", ("madrid", "billing", None, "ann", "voice", None, None))
    'billing,voice'
    >>> _key("team", ("madrid", "billing", None, "ann", "voice", None, None))
    'unknown'
    """
    if by == ALL:
        return ""
    return ",".join(cell[DIMENSIONS.index(name)] or UNKNOWN for name in by.split(","))


class Place(NamedTuple):
    """A pane to search, and an upper bound on how bad its contacts are."""

    badness: float
    pane: int


class Found(NamedTuple):
    """A contact of the figure: how bad it is (0 in the order "newest"), and when it counts, in ms."""

    badness: float
    time: int
    contact: Contact


class Archive(NamedTuple):
    """The source of journeys and the rules to fold them. `journeys_of_pane` lists those in a 10 s pane."""

    store: Store
    rules: Rules
    zones: Zones
    journeys: Callable[[int], Sequence[Key]]


async def behind(
    number: Number, places: Iterable[Place], order: Order, limit: int, of: Archive
) -> list[Contact]:
    """Return at most `limit` contacts, the newest or worst first; of equally bad ones the newest first."""
    found: dict[Key, Found] = {}
    seen: set[Key] = set()
    for place in places:
        if len(seen) >= READ or _enough(found.values(), place, limit):
            break
        wanted = [key for key in of.journeys(place.pane) if key not in seen]
        if not wanted:
            continue
        seen.update(wanted)
        for key, packed in zip(wanted, (await of.store.read(wanted)).values, strict=True):
            if packed is not None:
                found |= _behind(number, key, Journey.unpacked(packed, 0), order, of)
    ranked = sorted(found.values(), key=lambda one: (-one.badness, -one.time))
    return [one.contact for one in ranked[:limit]]


def _enough(found: Iterable[Found], place: Place, limit: int) -> bool:
    """Tell whether no contact of this pane or a later candidate can be among the first `limit`."""
    end = (place.pane + 1) * FINE_MS
    return sum((one.badness, one.time) >= (place.badness, end) for one in found) >= limit


def _behind(number: Number, key: Key, journey: Journey, order: Order, of: Archive) -> dict[Key, Found]:
    found = {}
    for placed, rows in fold(key, journey, of.rules):
        held = [row for row in rows if number.holds(row, of.zones)]
        figures = [(row, number.figure(row.tally())) for row in held]
        counting = [(row, figure) for row, figure in figures if figure.support > 0]
        if counting:
            bad = max(number.badness(figure) for _, figure in counting) if order == "worst" else 0.0
            time = max(row.time_ms for row, _ in counting)
            found[placed.group.key] = Found(bad, time, _contact(placed, time, counting[0][0].cell))
    return found


def _contact(placed: GroupInContext, time: int, cell: Cell) -> Contact:
    context, facts = placed.context, placed.group.facts
    last = last_segment(facts.segments)
    response = max(facts.responses, key=lambda one: (not one.excluded, one.answered_at), default=None)
    evaluation = max(facts.evaluations, key=lambda one: one.evaluated_at, default=None)
    site, queue, team, agent, channel, reason, language = cell
    return Contact(
        contact_id=last.contact_id if last else response.contact_id if response else None,
        customer_id=placed.group.customer(),
        time=rfc3339(time),
        ended_at=rfc3339(last.ended_at) if last else None,
        site=site, queue=queue, team=team, agent=agent, channel=channel, reason=reason, language=language,
        direction=last.direction if last else None,
        outcome=last.outcome if last else None,
        transfer=last.transfer if last else None,
        resolved=last.resolved if last else None,
        wait_s=_seconds(last.wait_ms) if last else None,
        talk_s=_seconds(last.talk_ms) if last else None,
        hold_s=_seconds(last.hold_ms) if last else None,
        acw_s=_seconds(last.acw_ms) if last else None,
        handle_s=_seconds(handle_ms(last)) if last and last.talk_ms is not None else None,
        segments=len(facts.segments),
        answers=_answers(response) if response else {},
        answered_at=rfc3339(response.answered_at) if response else None,
        comment=response.comment if response else None,
        qa_score=evaluation.score / 100 if evaluation else None,
        repeat=None if context.first is None else not context.first,
        first_contact_resolved=context.kept,
    )  # fmt: skip


def _answers(response: Response) -> dict[str, int | bool]:
    given = ((question, getattr(response, question)) for question in QUESTIONS)
    return {question: answer for question, answer in given if answer is not None}


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
