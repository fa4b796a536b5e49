"""Here is the watch: all rules, judged on what a reader knows."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts import drops, missed, silence, strange
from streamer.alerts.bounds import sample
from streamer.alerts.classes import Classes, classes
from streamer.alerts.missed import Stream
from streamer.alerts.rules import Rule
from streamer.alerts.series import Gatherer, Series, queue_of
from streamer.alerts.states import Alert
from streamer.alerts.strange import Pulse
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.events.rules import MINUTE
from streamer.metrics.formulas import Counts
from streamer.panes.grid import ALL, FINE_MS
from streamer.readings.query import Query, Reading
from streamer.readings.reader import Reader
from streamer.settings import Settings


class Judged(NamedTuple):
    """`then`: of an alert that was told, what is judged today of the moment it fired; None: the same, or
    nobody knows."""

    rule: Rule
    verdict: Verdict
    then: State | None = None


Fired = Mapping[tuple[str, str], Alert]
"""Alerts that were told, by rule and key."""
_NONE: Final[Fired] = {}
SAMPLES: Final = 24 * 60
"""Of the counters of refused events, one a minute."""


class Moment(NamedTuple):
    now: int
    at: int
    fired: Fired

    def told(self, rule: Rule, key: str) -> int | None:
        alert = self.fired.get((rule.name, key))
        return None if alert is None else alert.fired_at


class Oddities(NamedTuple):
    """Of the data itself: why scores say nothing, and what else is strange. Sentences."""

    stale: str | None
    strange: str | None


class Watch:
    """Judges what a reader knows. From one thread at a time, any thread; nothing is told from here."""

    def __init__(self, reader: Reader, settings: Settings, rules: Sequence[Rule]) -> None:
        self._reader, self._settings, self.rules = reader, settings, rules
        self._taken: dict[str, deque[strange.Taken]] = {}
        self._gatherers = {
            by: Gatherer(reader, settings, by, _followed(rules, by))
            for by in {rule.by: None for rule in rules}
        }

    def judged(self, now: int, at: int | None = None, fired: Fired = _NONE) -> list[Judged]:
        """Every rule's verdict on each of its groups as of `at` (ms; None: now), with today's knowledge."""
        moment = Moment(now, now if at is None else at, fired)
        seen = {by: one.gather(moment.at, now) for by, one in self._gatherers.items()}
        odd = Oddities(None, None) if at is not None else self._oddities(now)
        return [
            judged._replace(verdict=self._gated(rule, judged.verdict, moment.at, odd))
            for rule in self.rules
            for judged in self._rule(rule, seen[rule.by], moment)
        ]

    def drops(self, rule: Rule, now: int, at: int | None = None) -> drops.Drops | None:
        """The evidence of a rule of drops over time, for `explain`; None: nothing is known."""
        assert rule.kind == "drop"
        series = self._gatherers[rule.by].gather(now if at is None else at, now).get(rule.metric.name)
        return None if series is None else drops.drops(series, rule)

    def pulse(self, now: int) -> Pulse:
        beats, fresh = self._reader.beats.values(), self._reader.fresh_s(now)
        latest = now // FINE_MS + 30
        panes = self._reader.kept(ALL, "fine", latest - 30 - 6 * 60 * 24, latest).panes
        return Pulse(
            now=now,
            fresh_ms=None if fresh is None else round(fresh * 1000),
            lag=sum(beat.lag for beat in beats),
            record_at=max((beat.record_at for beat in beats), default=None),
            event_at=(max(panes) + 1) * FINE_MS if panes else None,
        )

    def _oddities(self, now: int) -> Oddities:
        pulse = self.pulse(now)
        for topic, taken in strange.taken(self._reader.counts, now).items():
            known = self._taken.setdefault(topic, deque(maxlen=SAMPLES))
            if not known or now - known[-1].at >= MINUTE or now < known[-1].at:
                known.append(taken)
        refused = (strange.refused(topic, [*known]) for topic, known in self._taken.items())
        return Oddities(strange.stale(pulse), strange.late(pulse) or next(filter(None, refused), None))

    def _rule(self, rule: Rule, seen: Mapping[str, Series], moment: Moment) -> Iterator[Judged]:
        if rule.kind == "target":
            return self._missed(rule, seen, moment)
        series = seen.get(_place(rule))
        if rule.kind == "drop":
            return self._dropped(rule, series, moment) if series else iter(())
        return self._silent(rule, series)

    def _gated(self, rule: Rule, verdict: Verdict, at: int, odd: Oddities) -> Verdict:
        """Out of hours, or of data that is not whole, nothing is said of scores."""
        if not rule.hours.open(at, self._subject(rule, verdict.key).zone):
            return msgspec.structs.replace(verdict, state="closed", reason="Out of the hours of operation.")
        if rule.kind == "silence":
            reason = odd.stale or (odd.strange if rule.by == ALL else None)
            return verdict if reason is None else _instead(verdict, "fires", reason)
        return verdict if odd.stale is None else _instead(verdict, "no_data", odd.stale)

    def _dropped(self, rule: Rule, series: Series, moment: Moment) -> Iterator[Judged]:
        found = drops.drops(series, rule)
        for key in self._keys(rule, series.keys):
            alert = moment.told(rule, key)
            then = None if alert is None else found.then(series.keys.index(key), alert)
            yield Judged(rule, drops.verdict(found, rule, self._subject(rule, key)), then)

    def _silent(self, rule: Rule, series: Series | None) -> Iterator[Judged]:
        for key in self._keys(rule, series.keys if series else [""]):
            subject = self._subject(rule, key)
            yield Judged(rule, silence.silent(series, rule, subject) if series else silence.unheard(subject))

    def _missed(self, rule: Rule, seen: Mapping[str, Series], moment: Moment) -> Iterator[Judged]:
        rates, samples = self._rates(rule, seen), self._samples(rule, moment, moment.at)
        series = max(sum(1 for a_month, _ in rates.values() if a_month > 0), len(samples))
        for reading, counts in samples:
            a_month, spread = rates.get(reading.key, (0.0, 1.0))
            stream = Stream(a_month, series, spread)
            verdict = self._of_sample(rule, reading.key, counts, stream)
            if verdict is not None:
                then = self._then(rule, reading.key, stream, moment)
                yield Judged(rule, verdict, then)

    def _samples(self, rule: Rule, moment: Moment, at: int, key: str = "") -> list[tuple[Reading, Counts]]:
        names, key = (rule.metric.name,), key or rule.key
        return self._reader.samples(
            Query(now=moment.now, metrics=names, windows=(rule.window,), by=rule.by, key=key, at=at)
        )

    def _of_sample(self, rule: Rule, key: str, counts: Counts, stream: Stream) -> Verdict | None:
        target, observed = rule.target(queue_of(rule.by, key)), sample(rule.metric, counts)
        if target is None or observed is None:
            return None
        return missed.missed(rule, self._subject(rule, key), target, observed, stream)

    def _then(self, rule: Rule, key: str, stream: Stream, moment: Moment) -> State | None:
        """None where the counts say what they said."""
        alert = moment.fired.get((rule.name, key))
        if alert is None or alert.fired is None or alert.fired_at is None:
            return None
        for _, counts in self._samples(rule, moment, alert.fired_at, key):
            then, before = self._of_sample(rule, key, counts, stream), alert.fired.figures
            if then is not None and (then.figures.value, then.figures.support) != (
                before.value,
                before.support,
            ):
                return then.state
        return None

    def _rates(self, rule: Rule, seen: Mapping[str, Series]) -> Mapping[str, tuple[float, float]]:
        """By key, observations a month and their spread."""
        series = seen.get(rule.metric.name)
        if series is None:
            return {}
        usual = series.usual
        spread = np.where(usual.support >= drops.LEAST_LEARNED, usual.spread, 1.0)
        return dict(zip(series.keys, zip(usual.a_month.tolist(), spread.tolist(), strict=True), strict=True))

    def _keys(self, rule: Rule, known: Sequence[str]) -> Sequence[str]:
        return [key for key in known if key == rule.key] if rule.key else known

    def _subject(self, rule: Rule, key: str) -> Subject:
        queue = queue_of(rule.by, key)
        zone = self._settings.zones().get(queue, self._settings.timezone)
        return Subject(key, self._settings.names.get(rule.by, {}).get(key, key), zone)


def _instead(verdict: Verdict, state: State, reason: str) -> Verdict:
    return Verdict(kind=verdict.kind, key=verdict.key, state=state, reason=reason, figures=Figures())


def _place(rule: Rule) -> str:
    """Counts of events and classes of a metric lie apart."""
    return f"{rule.metric.name} events" if rule.kind == "silence" else rule.metric.name


def _followed(rules: Sequence[Rule], by: str) -> dict[str, Classes]:
    """By place, what is to be counted for these rules. Targets need to know how many observations come."""
    found: dict[str, Classes] = {}
    for rule in rules:
        own = classes(rule.metric) if rule.kind == "target" else rule.classes
        if rule.by == by and own is not None:
            found[_place(rule)] = own
    return found
