"""Catalogue of metrics: every metric, declared once, with its formulas.

Prometheus names, dashboard panels, docs/metrics.md and the catalogue of the API are generated from it. Where
families must be dropped, they are dropped from its end.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.formulas import (
    SERVICE_LEVELS,
    AgentCount,
    CountRatio,
    CountTotal,
    DurationMax,
    DurationMean,
    DurationPercentile,
    MatureShare,
    MetricFigure,
    MetricFormula,
    MoneySum,
    NetScore,
    PointsMean,
    ReadingContext,
    ScaleMean,
    WindowCounts,
    WorkloadRate,
)
from streamer.metrics.live_formulas import (
    OCCUPIED,
    SERVING,
    SIGNED_IN,
    AgentsNow,
    ContactsNow,
    ExpectedWait,
    LongestWait,
    OfferCount,
    TimeShare,
    TimeTotal,
    WaitingRatio,
)
from streamer.metrics.tally import SCALES

# Parts of the declaration of a metric.

Span = Literal["fcr_ms", "horizon_ms", "response_age_ms"] | int


class WindowSpans(msgspec.Struct, frozen=True):
    """Time spans from the settings that `WindowLimits` may name, in ms.

    >>> WindowSpans(fcr_ms=7 * DAY).ms("fcr_ms"), WindowSpans().ms(24 * HOUR)
    (604800000, 86400000)
    """

    fcr_ms: int = 7 * DAY
    horizon_ms: int = 35 * DAY
    response_age_ms: int = 24 * HOUR

    def ms(self, span: Span) -> int:
        if isinstance(span, int):
            return span
        ms: int = getattr(self, span)
        return ms


class WindowLimits(msgspec.Struct, frozen=True):
    """Limits of the windows that a metric is read over: their lengths, and a shift into the past.

    `at_least`, `at_most`: shortest and longest window; `today` is shorter than any minimum. `shift`: the
    window ends that long before the time asked for. `now`: it is read as of now alone, over no window of
    time.
    """

    at_least: Span = 0
    at_most: Span | None = None
    shift: Span = 0
    now: bool = False

    def allows(self, length_ms: int, spans: WindowSpans) -> bool:
        """Tell whether the metric is read over a window of this nominal length (0 for `today`).

        >>> limits = WindowLimits(at_least="fcr_ms")
        >>> limits.allows(7 * DAY, WindowSpans()), limits.allows(DAY, WindowSpans())
        (True, False)
        """
        longest = length_ms if self.at_most is None else spans.ms(self.at_most)
        return not self.now and spans.ms(self.at_least) <= length_ms <= longest


class MetricMeasure(msgspec.Struct, frozen=True):
    """Computation of a metric: its formulas, and what is said of them.

    `formulas`: by stat; the first is the default, "" where there is only one. `words`: the formula in words.
    `support`: what the sample size counts.
    """

    formulas: Mapping[str, MetricFormula]
    words: str
    support: str

    @property
    def default(self) -> MetricFormula:
        """Formula of the default stat."""
        return next(iter(self.formulas.values()))

    @property
    def interval(self) -> str:
        """Kind of the confidence interval, with the stat if only one has it; "" for none."""
        mean, stat = self.default.mean, next(iter(self.formulas))
        if mean is None:
            return ""
        others_lack_it = any(formula.mean is None for formula in self.formulas.values())
        return f"{mean.interval} ({stat})" if others_lack_it else mean.interval


_SAMPLE_NOUNS: Final = {"answered_at": "answers", "evaluated_at": "evaluations", "sent_at": "surveys"}


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """Declaration of one metric.

    `placed`: the time of an event that puts it into a window. `source`: source of the formula. `help`: the
    meaning of the metric, what is left out, what unknown means. `not_by`: dimensions it cannot be grouped by.
    `label`: name in sentences, where it does not follow from `name`. `events`: noun for what a count counts,
    where it is not the label. `sample`: noun for the observations, where it does not follow from `placed`.
    """

    name: str
    measure: MetricMeasure
    better: Literal["higher", "lower"]
    help: str
    placed: str = "ended_at"
    source: str = "custom of the trade"
    windows: WindowLimits = WindowLimits()
    not_by: tuple[str, ...] = ()
    label: str = ""
    events: str = ""
    sample: str = ""

    @property
    def sample_noun(self) -> str:
        """Plural noun for the observations behind a figure."""
        return self.sample or _SAMPLE_NOUNS.get(self.placed, "contacts")

    @property
    def stats(self) -> tuple[str, ...]:
        return tuple(self.measure.formulas)

    @property
    def formula(self) -> MetricFormula:
        """Formula of the default stat."""
        return self.measure.default

    @property
    def has_observations(self) -> bool:
        """Tell whether its support counts observations: not of counts, agents' time and figures of now."""
        return self.unit != "count" and self.formula.needs not in ("time", "live")

    @property
    def unit(self) -> str:
        return self.formula.unit

    def can_group_by(self, by: str) -> bool:
        """Tell whether the metric can be grouped by `by`, e.g. "all", "agent" or "queue,channel"."""
        return not set(by.split(",")) & set(self.not_by)


def evaluate_metric(metric: Metric, stat: str, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
    """Compute a stat of a metric from counts; "" is the metric's default stat.

    Raises KeyError for a stat that the metric does not have.

    >>> from streamer.metrics.formulas import TallyCounts
    >>> from streamer.metrics.tally import NUMBER
    >>> counts = TallyCounts({NUMBER["offered"]: 50, NUMBER["abandoned"]: 4})
    >>> figure = evaluate_metric(CATALOGUE["abandon_ratio"], "", counts, ReadingContext(window_s=3600))
    >>> figure.value, figure.support
    (0.08, 50)
    """
    return metric.measure.formulas[stat or metric.stats[0]](counts, context)


def _score_names(question: str, scores: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{question}_{score}" for score in scores)


def _as_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _ratio(hits: str | tuple[str, ...], of: str | tuple[str, ...], words: str, support: str) -> MetricMeasure:
    return MetricMeasure({"": CountRatio(_as_tuple(hits), _as_tuple(of))}, words, support)


def _net(question: str, detractors: Iterable[int], words: str) -> MetricMeasure:
    net = NetScore(
        _score_names(question, (9, 10)),
        _score_names(question, detractors),
        _score_names(question, SCALES[question]),
    )
    return MetricMeasure({"": net}, words, "answers")


def _scale_mean(question: str, words: str) -> MetricMeasure:
    return MetricMeasure({"": ScaleMean(question)}, words, "answers")


def _duration(duration: str, words: str, support: str) -> MetricMeasure:
    formulas: dict[str, MetricFormula] = {"mean": DurationMean(duration)}
    formulas |= {f"p{percent}": DurationPercentile(duration, percent) for percent in (50, 90, 95)}
    formulas["max"] = DurationMax(duration)
    return MetricMeasure(formulas, words, support)


def _total(count: str | tuple[str, ...], words: str) -> MetricMeasure:
    return MetricMeasure({"": CountTotal(_as_tuple(count))}, words, "the value itself")


def _contacts_now(field: str, words: str) -> MetricMeasure:
    return MetricMeasure({"": ContactsNow(field)}, words, "the value itself")


def _agents_now(field: str, words: str) -> MetricMeasure:
    return MetricMeasure({"": AgentsNow(field)}, words, "the value itself")


def _agent_seconds(counts: str | tuple[str, ...], words: str) -> MetricMeasure:
    return MetricMeasure({"": TimeTotal(_as_tuple(counts))}, words, "the value itself, in whole seconds")


_NOW: Final = WindowLimits(now=True)
_NO_STATES: Final = "No value in a group that no source sends states of."
_OF_AGENTS: Final = (
    "An agent counts once in all, and once in each queue and channel served: queues do not add up to all."
)
_UNKNOWN_AGENTS: Final = "Agents not heard of for too long are in agents_unknown alone."
_OF_TIME: Final = (
    "Time lies where it passed, to the ms, that of the present state included. An agent not heard of for too "
    "long (setting, 12 h; three heart beats) adds no more. An agent counts once in all, and once in each "
    "queue and channel served: queues do not add up to all."
)
_CONTACTS_LIMIT: Final = (
    "Inbound ones. Waiting or served for longer than a limit (setting, 4 h, not voice or chat 7 d) "
    "they are in contacts_lost instead."
)

_SKIPPED = "Skipped and excluded answers are left out."
_HISTOGRAM = "Mean is exact; percentiles (nearest rank) and max come from a histogram, within 2 %."

_METRICS: Final = (
    # Surveys.
    Metric(
        name="nps_score",
        measure=_net("nps", range(7), "100 (promoters 9-10 − detractors 0-6) / answers"),
        better="higher",
        placed="answered_at",
        help=f"Net Promoter Score, −100 to 100. {_SKIPPED} The newest version of each answer counts.",
        source='F. Reichheld, "The One Number You Need to Grow", Harvard Business Review, 2003',
    ),
    Metric(
        name="cnx_score",
        measure=_net("cnx", range(1, 7), "100 (promoters 9-10 − detractors 1-6) / answers"),
        better="higher",
        placed="answered_at",
        help=f"Net score of the question asked on a scale of 1 to 10, −100 to 100. {_SKIPPED}",
        source="as nps_score, on 1 to 10",
    ),
    Metric(
        name="csat_ratio",
        measure=_ratio(
            _score_names("csat", (4, 5)),
            _score_names("csat", range(1, 6)),
            "answers of 4-5 / answers",
            "answers",
        ),
        better="higher",
        placed="answered_at",
        help=f"Share of satisfied customers (top two of 1 to 5). {_SKIPPED}",
        source="top-two box, custom of the trade",
    ),
    Metric(
        name="csat_mean",
        measure=_scale_mean("csat", "mean of 1..5"),
        better="higher",
        placed="answered_at",
        help=f"Mean satisfaction, 1 to 5. {_SKIPPED}",
    ),
    Metric(
        name="ces_score",
        measure=_scale_mean("ces", "mean of 1..7"),
        better="higher",
        placed="answered_at",
        help=f"Customer Effort Score 2.0, 1 to 7: high is easy. {_SKIPPED}",
        source='M. Dixon, N. Toman, R. DeLisi, "The Effortless Experience", 2013',
    ),
    Metric(
        name="ces_easy_ratio",
        measure=_ratio(
            _score_names("ces", (5, 6, 7)),
            _score_names("ces", range(1, 8)),
            "answers of 5-7 / answers",
            "answers",
        ),
        better="higher",
        placed="answered_at",
        help=f"Share of customers who had it easy (5 to 7 of CES 2.0). {_SKIPPED}",
        source='M. Dixon, N. Toman, R. DeLisi, "The Effortless Experience", 2013',
    ),
    Metric(
        name="effort_score",
        measure=_scale_mean("effort", "mean of 1..5"),
        better="lower",
        placed="answered_at",
        help=f"Customer Effort Score 1.0, 1 to 5: low is easy. {_SKIPPED}",
        source=(
            'M. Dixon, K. Freeman, N. Toman, "Stop Trying to Delight Your Customers", '
            "Harvard Business Review, 2010"
        ),
    ),
    # First contact resolution.
    Metric(
        name="fcr_survey_ratio",
        measure=_ratio("first_yes", ("first_yes", "first_no"), "resolved_first true / answers", "answers"),
        better="higher",
        placed="answered_at",
        help=f"First contact resolution as customers say. {_SKIPPED}",
    ),
    Metric(
        name="fcr_agent_ratio",
        measure=_ratio(
            "disposed_resolved",
            "disposed",
            "contacts with resolved true / contacts with a disposition",
            "contacts with a disposition",
        ),
        better="higher",
        help=(
            "Resolution as agents say: the disposition of the contact's last answered segment. "
            "Contacts without a disposition are left out."
        ),
    ),
    Metric(
        name="fcr_ratio",
        measure=_ratio(
            "fcr_kept",
            "fcr_firsts",
            "first contacts without a later one within N days / first contacts",
            "first contacts",
        ),
        better="higher",
        help=(
            "First contact resolution by repeats: of answered inbound contacts of known customers without "
            "an earlier one within N days (setting, 7 days), those without a later one within N days. "
            "Restated as repeats arrive; fcr_maturity_ratio says which share can no longer change. Left out: "
            "unknown customers, shared customer ids (robots, switchboards), callback legs. Only for windows "
            "of at least N days."
        ),
        source="repeat-contact method, custom of the trade",
        windows=WindowLimits(at_least="fcr_ms"),
    ),
    Metric(
        name="fcr_maturity_ratio",
        measure=MetricMeasure(
            {"": MatureShare("fcr_firsts")},
            "first contacts at least N days old / first contacts",
            "first contacts",
        ),
        better="higher",
        help=(
            "Share of the first contacts in fcr_ratio whose N days are over, so that no repeat can change "
            "them. A share of all there are, no sample: it has no interval."
        ),
        source="this catalogue",
        windows=WindowLimits(at_least="fcr_ms"),
    ),
    Metric(
        name="fcr_final_ratio",
        measure=_ratio(
            "fcr_kept",
            "fcr_firsts",
            "first contacts without a later one within N days / first contacts, N days ago",
            "first contacts",
        ),
        better="higher",
        help=(
            "fcr_ratio of the window of that length that ends N days before: final, but for late events. "
            "Only for windows from 24 h."
        ),
        source="as fcr_ratio",
        windows=WindowLimits(at_least=24 * HOUR, shift="fcr_ms"),
    ),
    Metric(
        name="repeat_ratio",
        measure=_ratio(
            "fcr_repeats",
            "fcr_contacts",
            "contacts that are a repeat / answered inbound contacts of known customers",
            "answered inbound contacts of known customers",
        ),
        better="lower",
        help=(
            "Share of contacts with an earlier one of the same customer within N days: the live figure "
            "beside fcr_ratio. Left out: unknown customers, shared customer ids (robots, switchboards), "
            "callback legs."
        ),
        source="repeat-contact method, custom of the trade",
        label="Repeat rate",
    ),
    # Times.
    Metric(
        name="handle_time_seconds",
        measure=_duration(
            "handle", "talk + hold + acw of answered segments", "answered segments with known talk"
        ),
        better="lower",
        help=(
            "Handle time (AHT) of inbound segments. Segments without a known talk time are left out, as are "
            f"abandoned ones; unknown hold or after-call work adds nothing. {_HISTOGRAM}"
        ),
    ),
    Metric(
        name="talk_time_seconds",
        measure=_duration("talk", "talk of answered segments", "answered segments with known talk"),
        better="lower",
        help=f"Talk time of answered inbound segments. Unknown ones are left out. {_HISTOGRAM}",
    ),
    Metric(
        name="hold_time_seconds",
        measure=_duration("hold", "hold of answered segments", "answered segments with known hold"),
        better="lower",
        help=(
            "Hold time of answered inbound segments. Segments of sources that do not report hold are left "
            f"out, not taken for 0. {_HISTOGRAM}"
        ),
    ),
    Metric(
        name="acw_time_seconds",
        measure=_duration("acw", "after-call work of answered segments", "answered segments with known acw"),
        better="lower",
        help=f"After-call work of answered inbound segments. Unknown ones are left out. {_HISTOGRAM}",
    ),
    Metric(
        name="wait_time_seconds",
        measure=_duration("wait", "wait of answered segments", "answered segments with known wait"),
        better="lower",
        help=(
            "Speed of answer (ASA): the wait of answered inbound segments, counted when completed. Unknown "
            f"ones are left out. Contacts that wait now are in waiting and longest_wait_seconds. {_HISTOGRAM}"
        ),
    ),
    Metric(
        name="abandon_time_seconds",
        measure=_duration("abandon", "wait of abandoned segments", "abandoned segments with known wait"),
        better="lower",
        help=f"Time until customers gave up. Unknown ones are left out. {_HISTOGRAM}",
    ),
    Metric(
        name="outbound_handle_time_seconds",
        measure=_duration(
            "outbound_handle",
            "talk + hold + acw of outbound answered segments",
            "outbound answered segments with known talk",
        ),
        better="lower",
        help=f"Handle time of outbound segments. Without a known talk time they are left out. {_HISTOGRAM}",
    ),
    # Service.
    Metric(
        name="service_level_ratio",
        measure=MetricMeasure(
            {
                "own": CountRatio(("own_level_hits",), ("own_level_of",)),
                **SERVICE_LEVELS,
                "with_waiting": WaitingRatio(("own_level_hits",), ("own_level_of",)),
            },
            "by stat, with lost = timeout + voicemail: "
            "negative: within T / (answered + abandoned + lost); "
            "exclude_short: the same without short abandoned; "
            "ignore: without those abandoned within T; "
            "positive: (within T + abandoned within T) / (answered + abandoned + lost); "
            "answered_only: within T / answered; "
            "own: each queue by its configured formula; "
            "with_waiting: own, and those who wait longer than T now are misses",
            "segments in the denominator",
        ),
        better="higher",
        help=(
            "Share of inbound segments answered within their queue's T (setting, 20 s; a wait of exactly T "
            "is within); abandoned within the short limit (5 s) is short. Timeout and voicemail are never "
            "within: they count as misses, whether their wait is known or not, but are not in answered_only. "
            "Answered and abandoned segments with an unknown wait are left out, but in negative abandoned "
            "ones count as misses. Several queues sum by their own T and, in own, by their own formula. "
            "with_waiting has a value only in windows that end now, and in groups that a source sends states "
            "of. Not by agent."
        ),
        source=(
            "Cisco Unified Contact Center Enterprise, service level types; exclude_short and answered_only: "
            "custom of the trade"
        ),
        not_by=("agent",),
    ),
    Metric(
        name="abandon_ratio",
        measure=_ratio("abandoned", "offered", "abandoned / offered", "offered segments"),
        better="lower",
        help="Share of offered inbound segments that customers abandoned, short ones included. Not by agent.",
        not_by=("agent",),
        label="Abandon rate",
    ),
    Metric(
        name="transfer_ratio",
        measure=_ratio("transferred", "answered", "transferred / answered", "answered segments"),
        better="lower",
        help="Share of answered inbound segments transferred to an agent, a queue or outside.",
        label="Transfer rate",
    ),
    # Now.
    Metric(
        name="waiting",
        measure=_contacts_now("waiting", "contacts in state queued or offered"),
        better="lower",
        placed="now",
        help=f"Contacts that wait for an agent now. {_CONTACTS_LIMIT} Not by agent. {_NO_STATES}",
        windows=_NOW,
        not_by=("agent",),
        label="Contacts waiting",
        events="contacts waiting",
    ),
    Metric(
        name="longest_wait_seconds",
        measure=MetricMeasure(
            {"": LongestWait()}, "now − when the first of those who wait began to wait", "contacts waiting"
        ),
        better="lower",
        placed="now",
        help=(
            f"Wait so far of the contact that has waited longest; 0 while nobody waits. {_CONTACTS_LIMIT} "
            f"Not by agent. {_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("agent",),
        label="Longest wait",
    ),
    Metric(
        name="waiting_over_target",
        measure=_contacts_now("waiting_over_target", "contacts waiting for longer than their queue's T"),
        better="lower",
        placed="now",
        help=(
            "Contacts that wait now, and have waited longer than their queue's T of the service level "
            f"(setting, 20 s): misses already. {_CONTACTS_LIMIT} Not by agent. {_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("agent",),
        label="Waiting over target",
        events="contacts waiting over target",
    ),
    Metric(
        name="in_progress",
        measure=_contacts_now("in_progress", "contacts in state connected or held"),
        better="higher",
        placed="now",
        help=f"Contacts that are with an agent now. {_CONTACTS_LIMIT} {_NO_STATES}",
        windows=_NOW,
        label="Contacts in progress",
        events="contacts in progress",
    ),
    Metric(
        name="expected_wait_seconds",
        measure=MetricMeasure(
            {"": ExpectedWait()},
            "wait so far of the head of the line (HOL); nobody waits: wait of the last to enter service "
            "(LES)",
            "starts of service in 30 minutes",
        ),
        better="lower",
        placed="now",
        help=(
            "How long a contact that comes now will wait, if things stay as they were over one wait. Of LES "
            "only if it is no older than twice that wait. No value where that cannot be said: nobody serves; "
            "the group has several queues; contacts overtake (different priorities or callbacks among those "
            "who wait); fewer than 10 starts of service in 30 minutes (answered then, and under way since); "
            "not as many agents serve as at the beginning of that wait; no source sends states. Not by "
            "agent, reason or language."
        ),
        source=(
            "R. Ibrahim, W. Whitt, Real-Time Delay Estimation Based on Delay History, Manufacturing & "
            "Service Operations Management, 2009"
        ),
        windows=_NOW,
        not_by=("agent", "reason", "language"),
        label="Expected wait",
    ),
    Metric(
        name="agents_signed_in",
        measure=_agents_now("agents_signed_in", "agents available, busy, in wrap-up or away"),
        better="higher",
        placed="now",
        help=f"Agents signed in now. {_UNKNOWN_AGENTS} {_OF_AGENTS} Not by reason or language. {_NO_STATES}",
        windows=_NOW,
        not_by=("reason", "language"),
        label="Agents signed in",
    ),
    Metric(
        name="agents_available",
        measure=_agents_now("agents_available", "agents in state available"),
        better="higher",
        placed="now",
        help=(
            f"Agents free to take a contact now. {_UNKNOWN_AGENTS} {_OF_AGENTS} Not by reason or language. "
            f"{_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("reason", "language"),
        label="Agents available",
    ),
    Metric(
        name="agents_busy",
        measure=_agents_now("agents_busy", "agents in state busy, held or offered"),
        better="higher",
        placed="now",
        help=(
            "Agents with a contact now: talking, on hold, or offered one that they have not taken yet. "
            f"{_UNKNOWN_AGENTS} {_OF_AGENTS} Not by reason or language. {_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("reason", "language"),
        label="Agents busy",
    ),
    Metric(
        name="agents_wrap_up",
        measure=_agents_now("agents_wrap_up", "agents in state wrap_up"),
        better="lower",
        placed="now",
        help=f"Agents in after-call work now. {_OF_AGENTS} Not by reason or language. {_NO_STATES}",
        windows=_NOW,
        not_by=("reason", "language"),
        label="Agents in wrap-up",
    ),
    Metric(
        name="agents_away",
        measure=_agents_now("agents_away", "agents in state away"),
        better="lower",
        placed="now",
        help=(
            "Agents signed in who take no contacts now, such as on a break; by reason: the reason of being "
            f"away. {_UNKNOWN_AGENTS} {_OF_AGENTS} Not by language. {_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("language",),
        label="Agents away",
    ),
    Metric(
        name="agents_unknown",
        measure=_agents_now("agents_unknown", "agents not heard of for longer than the limit"),
        better="lower",
        placed="now",
        help=(
            "Agents not heard of for too long (setting, 12 h; three heart beats where the source sends them) "
            "who never signed out: whether they are there is not known. They are dropped after 24 h. "
            f"{_OF_AGENTS} Not by reason or language. {_NO_STATES}"
        ),
        windows=_NOW,
        not_by=("reason", "language"),
        label="Agents unknown",
    ),
    Metric(
        name="contacts_lost",
        measure=_contacts_now("contacts_lost", "contacts under way for longer than the limit"),
        better="lower",
        placed="now",
        help=(
            "Contacts of either direction that never ended: waiting or served for longer than a limit "
            "(setting, 4 h, not voice or chat 7 d). They are in no other figure of now. streamer "
            f"check names them. {_NO_STATES}"
        ),
        windows=_NOW,
        label="Contacts lost",
        events="contacts lost",
    ),
    # Counts.
    Metric(
        name="contacts",
        measure=_total("contacts", "inbound contacts"),
        better="higher",
        help="Inbound contacts, each once however often transferred, at the last answered segment (or last).",
    ),
    Metric(
        name="offered",
        measure=_total("offered", "answered + abandoned + timeout + voicemail"),
        better="higher",
        help=(
            "Inbound segments offered to a queue, counted when completed. Overflow and callback have left it "
            "(setting). Contacts that wait now are in waiting."
        ),
        events="contacts",
    ),
    Metric(
        name="answered",
        measure=_total("answered", "answered inbound segments"),
        better="higher",
        help="Inbound segments an agent took, counted when completed. Those under way are in in_progress.",
        events="answered contacts",
    ),
    Metric(
        name="abandoned",
        measure=_total("abandoned", "abandoned inbound segments"),
        better="lower",
        help="Inbound segments the customer ended while waiting, short ones included.",
        events="abandoned contacts",
    ),
    Metric(
        name="short_abandoned",
        measure=_total("abandoned_short", "abandoned inbound segments with a wait within the short limit"),
        better="lower",
        help=(
            "Inbound segments abandoned within their queue's short limit (setting, 5 s). Unknown waits are "
            "left out."
        ),
        events="contacts abandoned at once",
    ),
    Metric(
        name="callbacks",
        measure=_total("callback", "inbound segments with outcome callback"),
        better="lower",
        help="Inbound segments that left the queue for a callback.",
    ),
    Metric(
        name="outbound",
        measure=_total("outbound", "outbound segments"),
        better="higher",
        help="Outbound segments. They are in no other count of segments.",
        events="outbound contacts",
    ),
    Metric(
        name="surveys",
        measure=_total("surveys", "survey responses"),
        better="higher",
        placed="answered_at",
        help="Survey responses with an answer or a comment. Corrected ones count once, excluded ones not.",
        events="answers to surveys",
    ),
    Metric(
        name="detractors",
        measure=_total(_score_names("nps", range(7)), "NPS answers of 0-6"),
        better="lower",
        placed="answered_at",
        help="NPS answers of 0 to 6. Excluded ones are left out.",
        source="as nps_score",
    ),
    Metric(
        name="comments",
        measure=_total("comments", "survey responses with a comment"),
        better="higher",
        placed="answered_at",
        help="Survey responses with a comment. Excluded ones are left out.",
    ),
    # Work.
    Metric(
        name="workload_erlangs",
        measure=MetricMeasure(
            {"": WorkloadRate()},
            "handled seconds / window seconds",
            "answered segments with known talk",
        ),
        better="lower",
        help=(
            "Mean number of agents at work on inbound segments. A segment's whole handle time lies where it "
            "ended. Segments without a known talk time are left out."
        ),
        source="ITU-T E.600, traffic intensity",
    ),
    Metric(
        name="active_agents",
        measure=MetricMeasure(
            {"": AgentCount()},
            "agents with an answered segment",
            "the value itself",
        ),
        better="higher",
        help=(
            "Different agents with an answered segment in the window. Segments without an agent are left "
            "out. Who is signed in now is in agents_signed_in."
        ),
    ),
    Metric(
        name="occupancy_ratio",
        measure=MetricMeasure(
            {"": TimeShare(OCCUPIED, SERVING)},
            "(busy + held + wrap-up) / (busy + held + wrap-up + available + offered)",
            "seconds in the denominator",
        ),
        better="higher",
        placed="as it passes",
        help=(
            "Share of the time of agents who take contacts in which they work on one. Wrap-up is work, being "
            "offered a contact is not; time away is left out. Others count offered time as work or leave it "
            "out: offered_seconds allows to compute theirs. A share of all there is, no sample: it has no "
            f"interval. {_OF_TIME} Not by reason or language. {_NO_STATES}"
        ),
        source="custom of the trade; the denominator differs by vendor",
        not_by=("reason", "language"),
        label="Occupancy",
    ),
    Metric(
        name="signed_in_seconds",
        measure=_agent_seconds(SIGNED_IN, "seconds of agents in all states but offline"),
        better="higher",
        placed="as it passes",
        help=f"Time that agents were signed in. {_OF_TIME} Not by reason or language. {_NO_STATES}",
        not_by=("reason", "language"),
        label="Time signed in",
    ),
    Metric(
        name="available_seconds",
        measure=_agent_seconds("available_ms", "seconds of agents in state available"),
        better="higher",
        placed="as it passes",
        help=f"Time that agents were free. {_OF_TIME} Not by reason or language. {_NO_STATES}",
        not_by=("reason", "language"),
        label="Time available",
    ),
    Metric(
        name="wrap_up_seconds",
        measure=_agent_seconds("wrap_up_ms", "seconds of agents in state wrap_up"),
        better="lower",
        placed="as it passes",
        help=(
            "Time of agents in after-call work, as their states tell; acw_time_seconds is per segment, as "
            f"completed ones tell. {_OF_TIME} Not by reason or language. {_NO_STATES}"
        ),
        not_by=("reason", "language"),
        label="Time in wrap-up",
    ),
    Metric(
        name="away_seconds",
        measure=_agent_seconds("away_ms", "seconds of agents in state away"),
        better="lower",
        placed="as it passes",
        help=(
            "Time that agents were signed in and took no contacts; by reason: the reason of being away. "
            f"{_OF_TIME} Not by language. {_NO_STATES}"
        ),
        not_by=("language",),
        label="Time away",
    ),
    Metric(
        name="offered_seconds",
        measure=_agent_seconds("offered_ms", "seconds of agents in state offered"),
        better="lower",
        placed="as it passes",
        help=(
            "Time in which a contact was offered to agents who had not taken it yet: ringing. "
            f"{_OF_TIME} Not by reason or language. {_NO_STATES}"
        ),
        not_by=("reason", "language"),
        label="Time offered",
    ),
    Metric(
        name="offered_unanswered",
        measure=MetricMeasure(
            {"": OfferCount("offered_unanswered")},
            "offers to agents that no contact came of",
            "the value itself",
        ),
        better="lower",
        placed="as it passes",
        help=(
            "Offers to agents after which the agent was neither busy nor on hold: not answered, refused, or "
            "taken back since another answered or the customer left. An agent counts once in all, and once "
            f"in each queue served: queues do not add up to all. Not by reason or language. {_NO_STATES}"
        ),
        not_by=("reason", "language"),
        label="Offers not answered",
        events="offers not answered",
    ),
    # Surveys sent, quality, value.
    Metric(
        name="response_ratio",
        measure=_ratio(
            "surveys_sent_answered", "surveys_sent", "surveys answered / surveys sent", "surveys sent"
        ),
        better="higher",
        placed="sent_at",
        help=(
            "Share of surveys sent that were answered. The window ends 24 h (setting) before, so that every "
            "customer had that long. Answers to surveys that nobody reported as sent are left out."
        ),
        windows=WindowLimits(shift="response_age_ms"),
        label="Response rate",
    ),
    Metric(
        name="qa_score",
        measure=MetricMeasure({"": PointsMean("qa")}, "mean of 0..100", "evaluations"),
        better="higher",
        placed="evaluated_at",
        help=(
            "Mean score of quality evaluations, the newest version of each, under the agent it names. "
            "Calibrations are left out."
        ),
    ),
    Metric(
        name="value_at_risk",
        measure=MetricMeasure(
            {"": MoneySum("risk_sum", "risk_customers", each=False)},
            "sum of the newest customer value of detractors",
            "customers at risk",
        ),
        better="lower",
        placed="answered_at",
        help=(
            "Newest known value of the customers whose newest NPS answer is a detractor's, at that answer. "
            "Customers of unknown value are left out. Only for windows within the horizon (setting, 35 days)."
        ),
        source="this catalogue",
        windows=WindowLimits(at_most="horizon_ms"),
        sample="customers",
    ),
    Metric(
        name="value_mean",
        measure=MetricMeasure(
            {"": MoneySum("valued_sum", "valued_contacts", each=True)},
            "sum of customer values / contacts with a known one",
            "contacts with a known customer value",
        ),
        better="higher",
        help="Mean value of the customers behind the contacts. Those of unknown value are left out.",
        source="this catalogue",
    ),
    # Later ones. The last is the first that an exposition with too many series leaves out.
    Metric(
        name="answer_ratio",
        measure=_ratio("answered", "offered", "answered / offered", "offered segments"),
        better="higher",
        help=(
            "Share of offered inbound segments that an agent took. Abandoned ones, timeouts and voicemail "
            "count against it. Not by agent."
        ),
        source="ITU-T E.425, answer seizure ratio, of offered segments",
        not_by=("agent",),
        label="Answer rate",
    ),
)

CATALOGUE: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _METRICS}
"""Every metric by name, in the order of the public contract."""
