"""Drill down from a metric's figure to the contacts it counts.

A contact belongs to a figure if the metric has a sample when computed from that contact alone; the metric's
value for it alone says how bad it is. The counts say which panes to search. A pane's deltas name the
journeys counted in it, and folding those journeys again says which of their contacts count, as they are now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from math import inf
from typing import Final, Literal, NamedTuple, Protocol, Self, TypeVar

import msgspec

from streamer.events.counting_rules import CountingRules
from streamer.events.models import DIMENSIONS, QUESTIONS, SurveyResponse
from streamer.journeys.journey import FactGroup, Journey, Key, last_segment
from streamer.metrics.catalogue import Metric, evaluate_metric
from streamer.metrics.formulas import MetricFigure, ReadingContext, TallyCounts
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.fold import Contribution, GroupContext, fold, handle_ms
from streamer.panes.pane_keys import ALL, FINE_MS, Cell, parse_row_field, row_field
from streamer.readings.pane_families import FinePanes, PaneView, QueueZones
from streamer.readings.window_query import WindowQuery, rfc3339_from_ms
from streamer.store.port import StateStore

Order = Literal["newest", "worst"]
T = TypeVar("T")


class RunInThread(Protocol):
    """Runs an operation in a thread, as asyncio.to_thread does, and returns its result."""

    def __call__(self, operation: Callable[[], T], /) -> Awaitable[T]: ...


MAX_CELLS: Final = 20_000
"""How many cells are searched for the worst contacts, the newest first."""
MAX_NEWEST_CELLS: Final = 1_000
"""How many cells of the newest contacts are read: more than one response lists."""
READ: Final = 2_000
"""How many journeys are read at most for one response."""
_ANSWERED: Final = NUMBER["answered"]
_TEAM: Final = DIMENSIONS.index("team")
_QUEUE: Final = DIMENSIONS.index("queue")


class ContactDetails(msgspec.Struct, frozen=True):
    """A contact as it is now, with its surveys.

    Durations are in seconds, of its last answered segment (if none was answered, of its last one);
    `segments` counts its segments. `time` is where it counts for the metric. `answers` and `comment` are
    those of its newest response, and `comment_language` the response's, else the contact's. A contact known
    only by its survey has no contact id."""

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
    comment_language: str | None
    qa_score: float | None
    repeat: bool | None
    first_contact_resolved: bool | None
    source: str | None = None
    links: dict[str, str] = {}


class PaneSpan(NamedTuple):
    """The 10 s panes [first, last), for the queues of one zone (None: all queues)."""

    zone: str | None
    first: int
    last: int


class DrillDown(NamedTuple):
    """The figure to drill down into: a metric of one group over some panes. `teams`: only their contacts."""

    metric: Metric
    stat: str
    by: str
    key: str
    spans: Sequence[PaneSpan]
    teams: Collection[str] | None = None

    @classmethod
    def from_query(cls, window_query: WindowQuery, teams: Collection[str] | None) -> Self:
        """Return the drill-down of a window query. Hour panes are read as the 10 s panes in them, which are
        kept for 50 h."""
        ((metric, (stat,)),) = window_query.validated.metrics
        runs = window_query.zone_runs(window_query.variant_of(metric))
        spans = [PaneSpan(zone, panes.start_ms // FINE_MS, panes.end_ms // FINE_MS) for zone, panes in runs]
        return cls(
            metric, stat, window_query.validated.query.by, window_query.validated.key or "", spans, teams
        )

    def figure(self, tally: Tally) -> MetricFigure:
        """Evaluate the metric from these counts alone; of durations always the mean."""
        stat = "mean" if "mean" in self.metric.stats else self.stat
        counts = TallyCounts(tally)
        return evaluate_metric(
            self.metric, stat, counts, ReadingContext(1.0, int(tally.get(_ANSWERED, 0) > 0), counts)
        )

    def badness(self, figure: MetricFigure) -> float:
        """Return the value with the sign that makes worse figures larger; no data counts as 0."""
        value = figure.value or 0.0
        return value if self.metric.better == "lower" else -value

    def candidate_panes(self, fine: FinePanes, order: Order) -> list["CandidatePane"]:
        """List the panes that contribute to the figure, in the order in which to search them."""
        badness_by_pane: dict[int, float] = {}
        for pane, figure in self._newest_figures(fine, MAX_NEWEST_CELLS if order == "newest" else MAX_CELLS):
            # A cell with several contacts only has their mean: any of them may be the worst.
            badness = inf if figure.support > 1 else self.badness(figure)
            badness_by_pane[pane] = max(badness_by_pane.get(pane, -inf), badness) if order == "worst" else 0.0
        return sorted(
            (CandidatePane(badness, pane) for pane, badness in badness_by_pane.items()), reverse=True
        )

    def _newest_figures(self, fine: FinePanes, limit: int) -> Iterator[tuple[int, MetricFigure]]:
        """Yield panes with their figures, the newest of each span first. Each span ends after about `limit`
        figures or MAX_CELLS cells."""
        for span in self.spans:
            view, searched_count, match_count = PaneView(self.by, zone=span.zone), 0, 0
            for pane in sorted(fine.panes.filled_panes(span.first, span.last), reverse=True):
                for tally in fine.tallies(pane, view, self.key, self.teams):
                    searched_count += 1
                    figure = self.figure(tally)
                    if figure.support > 0:
                        match_count += 1
                        yield pane, figure
                if searched_count >= MAX_CELLS or match_count >= limit:
                    break

    def includes(self, contribution: Contribution, zones: QueueZones) -> bool:
        pane, cell = contribution.time_ms // FINE_MS, contribution.cell
        if self.teams is not None and cell[_TEAM] not in self.teams:
            return False
        grouping = () if self.by == ALL else tuple(self.by.split(","))
        if parse_row_field(row_field(grouping, cell)) != (self.by, self.key):
            return False
        zone = zones.zone_of(cell[_QUEUE])
        return any(span.first <= pane < span.last and span.zone in (None, zone) for span in self.spans)


class CandidatePane(NamedTuple):
    """A pane to search, and an upper bound on how bad its contacts are."""

    badness: float
    pane: int


class RankedContact(NamedTuple):
    """A contact of the figure: how bad it is (0 in the order "newest"), and when it counts, in ms."""

    badness: float
    time_ms: int
    contact: ContactDetails


class JourneySource(NamedTuple):
    """The source of journeys and the rules to fold them. `journeys_of_pane` lists those in a 10 s pane."""

    store: StateStore
    rules: CountingRules
    zones: QueueZones
    journeys_of_pane: Callable[[int], Sequence[Key]]


async def drill_down(
    target: DrillDown,
    candidate_panes: Iterable[CandidatePane],
    order: Order,
    limit: int,
    source: JourneySource,
    run: RunInThread = asyncio.to_thread,
) -> list[ContactDetails]:
    """Return at most `limit` contacts, the newest or worst first; of equally bad ones the newest first.

    Journeys are folded in a thread: those of a busy pane take longer than an event loop can wait."""
    contacts_by_group: dict[Key, RankedContact] = {}
    read_keys: set[Key] = set()
    for candidate_pane in candidate_panes:
        if len(read_keys) >= READ or _is_complete(contacts_by_group.values(), candidate_pane, limit):
            break
        keys = [key for key in source.journeys_of_pane(candidate_pane.pane) if key not in read_keys]
        if not keys:
            continue
        read_keys.update(keys)
        packed_journeys = (await source.store.read(keys)).values
        contacts_by_group |= await run(
            partial(_contacts_of_journeys, target, keys, packed_journeys, order, source)
        )
    ranked = sorted(
        contacts_by_group.values(),
        key=lambda ranked_contact: (-ranked_contact.badness, -ranked_contact.time_ms),
    )
    return [ranked_contact.contact for ranked_contact in ranked[:limit]]


def _is_complete(contacts: Iterable[RankedContact], candidate_pane: CandidatePane, limit: int) -> bool:
    """Tell whether no contact of this pane or a later candidate can be among the first `limit`."""
    end_ms = (candidate_pane.pane + 1) * FINE_MS
    return (
        sum((contact.badness, contact.time_ms) >= (candidate_pane.badness, end_ms) for contact in contacts)
        >= limit
    )


def _contacts_of_journeys(
    target: DrillDown,
    keys: Sequence[Key],
    packed_journeys: Sequence[bytes | None],
    order: Order,
    source: JourneySource,
) -> dict[Key, RankedContact]:
    contacts_by_group: dict[Key, RankedContact] = {}
    for key, packed in zip(keys, packed_journeys, strict=True):
        if packed is not None:
            journey = Journey.unpacked(packed, 0)
            contacts_by_group |= _contacts_of_journey(target, key, journey, order, source)
    return contacts_by_group


def _contacts_of_journey(
    target: DrillDown, key: Key, journey: Journey, order: Order, source: JourneySource
) -> dict[Key, RankedContact]:
    contacts_by_group = {}
    for group, context, rows in fold(key, journey, source.rules):
        rows_in_scope = [row for row in rows if target.includes(row, source.zones)]
        figures = [(row, target.figure(row.tally())) for row in rows_in_scope]
        sampled = [(row, figure) for row, figure in figures if figure.support > 0]
        if sampled:
            badness = max(target.badness(figure) for _, figure in sampled) if order == "worst" else 0.0
            time_ms = max(row.time_ms for row, _ in sampled)
            contacts_by_group[group.key] = RankedContact(
                badness, time_ms, _contact_details(group, context, time_ms, sampled[0][0].cell)
            )
    return contacts_by_group


def _contact_details(group: FactGroup, context: GroupContext, time_ms: int, cell: Cell) -> ContactDetails:
    facts = group.facts
    last = last_segment(facts.segments)
    response = max(
        facts.responses, key=lambda record: (not record.excluded, record.answered_at), default=None
    )
    evaluation = max(
        facts.evaluations, key=lambda record: (not record.calibration, record.evaluated_at), default=None
    )
    site, queue, team, agent, channel, reason, language = cell
    return ContactDetails(
        contact_id=last.contact_id if last else response.contact_id if response else None,
        customer_id=group.customer_id(),
        time=rfc3339_from_ms(time_ms),
        ended_at=rfc3339_from_ms(last.ended_at) if last else None,
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
        answers=_answers_given(response) if response else {},
        answered_at=rfc3339_from_ms(response.answered_at) if response else None,
        comment=response.comment if response else None,
        comment_language=(response.language or language) if response and response.comment else None,
        qa_score=evaluation.score / 100 if evaluation else None,
        repeat=None if context.is_first is None else not context.is_first,
        first_contact_resolved=context.is_resolved,
        source=last.source if last else response.source if response else None,
    )  # fmt: skip


def _answers_given(response: SurveyResponse) -> dict[str, int | bool]:
    answers = ((question, getattr(response, question)) for question in QUESTIONS)
    return {question: answer for question, answer in answers if answer is not None}


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
