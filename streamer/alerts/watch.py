"""Rule evaluation: verdicts of all alert rules on the counts that a reader holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.judging import drops, missed, silence
from streamer.alerts.judging.bounds import sample
from streamer.alerts.judging.classes import Classes, classes
from streamer.alerts.judging.drops import Drops
from streamer.alerts.judging.missed import Stream
from streamer.alerts.judging.oddness import NOTHING_ODD, Oddities, Oddness
from streamer.alerts.judging.replay import Replay
from streamer.alerts.judging.samples import Samples
from streamer.alerts.judging.series import Gatherer, Series, queue_of
from streamer.alerts.rules import Rule
from streamer.alerts.states import Alert
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.alerts.words import called
from streamer.metrics.catalogue import Windows
from streamer.metrics.formulas import Counts
from streamer.panes.pane_keys import ALL
from streamer.readings.columns import Zones
from streamer.readings.query import Query
from streamer.readings.reader import Reader
from streamer.readings.table import NOTHING
from streamer.settings import Settings


class Judged(NamedTuple):
    """A rule's verdict on one group. `state_at_firing`: for a notified alert, the state that today's
    counts give for the moment it fired; None: unchanged, or unknown."""

    rule: Rule
    verdict: Verdict
    then: State | None = None


Fired = Mapping[tuple[str, str], Alert]
"""Alerts that were notified, by rule and key."""
_NONE: Final[Fired] = {}


class Moment(NamedTuple):
    """Moment to evaluate: `at_ms`, with the knowledge of `now_ms`. The data issues of a past moment are
    not kept, so `issues` is empty if `is_past`."""

    now: int
    at: int
    past: bool = False
    odd: Oddities = NOTHING_ODD
    fired: Fired = _NONE

    def before(self, at: int) -> "Moment":
        """Return another, past moment with the same knowledge."""
        return Moment(self.now, at, past=True)


class Watch:
    """Evaluates alert rules on the counts that a reader holds. Use it from one thread at a time, any
    thread. It notifies nobody."""

    def __init__(self, reader: Reader, settings: Settings, rules: Sequence[Rule]) -> None:
        self._reader, self._settings, self.rules = reader, settings, rules
        self._oddness, zones = Oddness(reader), Zones(settings.timezone, settings.zones())
        self._samplers = {rule.by: Samples(reader, zones, rule.by) for rule in rules}
        self._gatherers, self._past = self._made(), self._made()
        self._replays = {rule.name: Replay() for rule in rules}

    def _made(self) -> dict[str, Gatherer]:
        return {
            by: Gatherer(self._reader, self._settings, by, _followed(self.rules, by)) for by in self._samplers
        }

    def judged(self, now: int, at: int | None = None, fired: Fired = _NONE) -> list[Judged]:
        """Return every rule's verdict on each of its groups as of `at_ms` (None: now), with today's
        knowledge."""
        moment = self.moment(now, at, fired)
        seen = {by: self.seen(by, moment) for by in self._gatherers}
        return [judged for rule in self.rules for judged in self.ruled(rule, seen[rule.by], moment)]

    def moment(self, now: int, at: int | None = None, fired: Fired = _NONE) -> Moment:
        if at is None:
            return Moment(now, now, odd=self._oddness.found(now), fired=fired)
        return Moment(now, at, past=True, fired=fired)

    def seen(self, by: str, moment: Moment) -> Mapping[str, Series]:
        """Return the series of one grouping by `rule_series_name`. Queries about the past do not disturb
        the builders that keep up."""
        gatherers = self._past if moment.past else self._gatherers
        return gatherers[by].gather(moment.at, moment.now)

    def ruled(self, rule: Rule, seen: Mapping[str, Series], moment: Moment) -> Iterator[Judged]:
        """Return the verdicts of one rule."""
        if rule.kind == "target":
            return self._gated(self._missed(rule, seen, moment), moment)
        series = seen.get(place(rule))
        if rule.kind == "silence":
            return self._gated(self._silent(rule, series), moment)
        return self.dropped(rule, self.evidence(rule, series, moment), moment) if series else iter(())

    def drops(self, rule: Rule, now: int, at: int | None = None) -> Drops | None:
        """Return the evidence of a drop rule over time; None: there is no data."""
        assert rule.kind == "drop"
        moment = Moment(now, now if at is None else at, at is not None)
        series = self.seen(rule.by, moment).get(place(rule))
        return None if series is None else self.evidence(rule, series, moment)

    def evidence(self, rule: Rule, series: Series, moment: Moment) -> Drops:
        """Return the evidence of a drop rule. An evaluation of the present replays only new steps."""
        return drops.drops(series, rule, None if moment.past else self._replays[rule.name])

    def _gated(self, found: Iterable[Judged], moment: Moment) -> Iterator[Judged]:
        for judged in found:
            yield judged._replace(verdict=self.gated(judged.rule, judged.verdict, moment))

    def gated(self, rule: Rule, verdict: Verdict, moment: Moment) -> Verdict:
        """Replace a verdict outside the hours of operation, or on incomplete data, by one that says so."""
        odd = moment.odd
        if not rule.hours.open(moment.at, self.subject(rule, verdict.key).zone):
            return msgspec.structs.replace(verdict, state="closed", reason="Outside the hours of operation.")
        if rule.kind == "silence":
            reason = odd.stale or (odd.strange if rule.by == ALL else None)
            return verdict if reason is None else _instead(verdict, "fires", reason)
        return verdict if odd.stale is None else _instead(verdict, "no_data", odd.stale)

    def dropped(
        self, rule: Rule, found: Drops, moment: Moment, keys: Sequence[str] | None = None
    ) -> Iterator[Judged]:
        """Return the verdicts of a drop rule on evidence at hand; `keys` limits them to these groups."""
        return self._gated(self._dropped(rule, found, moment, keys), moment)

    def _dropped(
        self, rule: Rule, found: Drops, moment: Moment, keys: Sequence[str] | None
    ) -> Iterator[Judged]:
        for key in self._keys(rule, found.series.keys if keys is None else keys):
            alert, then = moment.fired.get((rule.name, key)), None
            if alert is not None and alert.fired is not None and alert.fired_at is not None:
                then = found.then(found.series.keys.index(key), alert.fired_at, alert.fired.figures)
            yield Judged(rule, drops.verdict(found, rule, self.subject(rule, key)), then)

    def _silent(self, rule: Rule, series: Series | None) -> Iterator[Judged]:
        for key in self._keys(rule, series.keys if series else [""]):
            subject = self.subject(rule, key)
            yield Judged(rule, silence.silent(series, rule, subject) if series else silence.unheard(subject))

    def _missed(self, rule: Rule, seen: Mapping[str, Series], moment: Moment) -> Iterator[Judged]:
        found = self.samples(rule, moment)
        if found is None:
            for key in self._known(rule, seen):
                yield Judged(rule, _forgotten(rule, key))
            return
        streams = self.streams(rule, seen, found)
        for key, counts in found.items():
            verdict = self.of_sample(rule, key, counts, streams)
            if verdict is not None:
                yield Judged(rule, verdict, self._then(rule, key, streams, moment))

    def samples(self, rule: Rule, moment: Moment) -> Mapping[str, Counts] | None:
        """Return the counts of a target's window by key; None: they are no longer kept."""
        if not moment.past or rule.metric.windows != Windows():
            return self._read(rule, moment)
        found = self._samplers[rule.by].ended(rule.window, moment.at, moment.now)
        if found is None or not rule.key:
            return found and found.counts
        return {rule.key: found.counts.get(rule.key, NOTHING)}

    def _read(self, rule: Rule, moment: Moment) -> Mapping[str, Counts]:
        asked = Query(
            now=moment.now, metrics=(rule.metric.name,), windows=(rule.window,), by=rule.by, key=rule.key,
            at=moment.at,
        )  # fmt: skip
        return {reading.key: counts for reading, counts in self._reader.samples(asked)}

    def of_sample(self, rule: Rule, key: str, counts: Counts, streams: "Streams") -> Verdict | None:
        """Evaluate one group's counts against its target; None: the group has no target."""
        target, observed = rule.target(queue_of(rule.by, key)), sample(rule.metric, counts)
        if target is None or observed is None:
            return None
        return missed.missed(rule, self.subject(rule, key), target, observed, streams.of(key))

    def _known(self, rule: Rule, seen: Mapping[str, Series]) -> Sequence[str]:
        series = seen.get(rule.metric.name)
        return self._keys(rule, series.keys if series else ())

    def _then(self, rule: Rule, key: str, streams: "Streams", moment: Moment) -> State | None:
        """Return the state that today's counts give for the moment of firing; None where the counts are
        unchanged, or can no longer be read."""
        alert = moment.fired.get((rule.name, key))
        if alert is None or alert.fired is None or alert.fired_at is None:
            return None
        found = self._samplers[rule.by].ended(rule.window, alert.fired_at, moment.now)
        if found is None or not found.exact or rule.metric.windows != Windows():
            return None
        then, before = self.of_sample(rule, key, found.counts.get(key, NOTHING), streams), alert.fired.figures
        if then is None or (then.figures.value, then.figures.support) == (before.value, before.support):
            return None
        return then.state

    def streams(self, rule: Rule, seen: Mapping[str, Series], found: Mapping[str, Counts]) -> "Streams":
        rates = self._rates(rule, seen)
        return Streams(rates, max(sum(1 for a_month, _ in rates.values() if a_month > 0), len(found)))

    def _rates(self, rule: Rule, seen: Mapping[str, Series]) -> Mapping[str, tuple[float, float]]:
        """Return observations a month and their spread, by key."""
        series = seen.get(rule.metric.name)
        if series is None:
            return {}
        usual = series.usual
        spread = np.where(usual.support >= drops.LEAST_LEARNED, usual.spread, 1.0)
        return dict(zip(series.keys, zip(usual.a_month.tolist(), spread.tolist(), strict=True), strict=True))

    def _keys(self, rule: Rule, known: Sequence[str]) -> Sequence[str]:
        return [key for key in known if key == rule.key] if rule.key else known

    def subject(self, rule: Rule, key: str) -> Subject:
        queue = queue_of(rule.by, key)
        zone = self._settings.zones().get(queue, self._settings.timezone)
        return Subject(key, called(self._settings.names, rule.by, key), zone)


class Streams(NamedTuple):
    """Observations a month and their spread by key, and the number of series that the rule has."""

    rates: Mapping[str, tuple[float, float]]
    series: int

    def of(self, key: str) -> Stream:
        a_month, spread = self.rates.get(key, (0.0, 1.0))
        return Stream(a_month, self.series, spread)


def _forgotten(rule: Rule, key: str) -> Verdict:
    reason = f"The counts of the last {rule.window} are no longer kept for that time, only whole hours."
    return Verdict(kind="target", key=key, state="no_data", reason=reason)


def _instead(verdict: Verdict, state: State, reason: str) -> Verdict:
    return Verdict(kind=verdict.kind, key=verdict.key, state=state, reason=reason, figures=Figures())


def place(rule: Rule) -> str:
    """Return the name of the rule's series: event counts and classes of the same metric are kept apart."""
    return f"{rule.metric.name} events" if rule.kind == "silence" else rule.metric.name


def _followed(rules: Sequence[Rule], by: str) -> dict[str, Classes]:
    """Return the classes to count for these rules, by series name. Target rules need them for the number
    of observations to expect."""
    found: dict[str, Classes] = {}
    for rule in rules:
        own = classes(rule.metric) if rule.kind == "target" else rule.classes
        if rule.by == by and own is not None:
            found[place(rule)] = own
    return found
