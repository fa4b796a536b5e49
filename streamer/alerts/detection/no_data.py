"""Detection of missing data: no events at hours of the week that usually have some.

The number of events of an hour varies more than by chance alone: it is modelled as a gamma distribution
around the baseline of the hour of the week. Then, where E events are expected, none comes with the
probability (1 + E / shape)^−shape. Each event ends one stretch without events: so the false alarms of a
month are its events times this probability.
"""

from typing import Final

import numpy as np

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection.drops import LEAST_LEARNED
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.formatting import arrivals_phrase, clock
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import Verdict, VerdictFigures
from streamer.events.counting_rules import HOUR

LEAST_WEEKS: Final = 1


def evaluate_no_data(series: MetricSeries, rule: AlertRule, subject: AlertSubject) -> Verdict:
    group, baseline = series.keys.index(subject.key), series.baseline
    learned, series_count = int(baseline.support[group]), int((baseline.support >= LEAST_LEARNED).sum())
    arrivals = arrivals_phrase(rule.metric, rule.by, subject.name)
    if learned < LEAST_LEARNED or baseline.weeks < LEAST_WEEKS:
        figures = VerdictFigures(learned_of=learned, least=LEAST_LEARNED)
        reason = f"There is no baseline yet for {arrivals}."
        return Verdict(kind="silence", key=subject.key, state="no_baseline", reason=reason, figures=figures)
    last, expected = last_event(series, group), _expected_events(series, group)
    per_alarm = baseline.a_month[group] * (series_count if rule.shared else 1) / rule.false_alarms
    shape = float(baseline.shape[group])
    evidence, line = shape * float(np.log1p(expected / shape)), float(np.log(max(per_alarm, 2.0)))
    figures = VerdictFigures(
        value=0.0, usual=expected, support=0, evidence=evidence, line=line, since=last,
        a_month=float(baseline.a_month[group]), learned_of=learned,
    )  # fmt: skip
    if evidence < line:
        reason = f"{arrivals[:1].upper()}{arrivals[1:]} are as usual at these hours."
        return Verdict(kind="silence", key=subject.key, state="holds", reason=reason, figures=figures)
    reason = (
        f"No {arrivals} since {clock(last, series.at, subject.zone)}: "
        f"about {expected:.0f} are usual in that time at these hours."
    )
    return Verdict(kind="silence", key=subject.key, state="fires", reason=reason, figures=figures)


def last_event(series: MetricSeries, group: int) -> int:
    """Return the end of the last step that held something, ms; at most `series.at`."""
    filled_steps = np.flatnonzero(series.counts[:, group].any(axis=1))
    if not len(filled_steps):
        return int(series.starts[0]) if len(series.starts) else series.at
    next_step = int(filled_steps[-1]) + 1
    return min(int(series.starts[next_step]) if next_step < len(series.starts) else series.at, series.at)


def _expected_events(series: MetricSeries, group: int) -> float:
    """Return the events expected from the last one until `series.at`."""
    ends = np.append(series.starts[1:], series.at)
    spans = np.minimum(ends, series.at) - np.maximum(series.starts, last_event(series, group))
    rates = series.baseline.rates[group, series.hours[:, group]]
    return float(np.maximum(spans, 0) @ rates) / HOUR


def never_counted_verdict(subject: AlertSubject) -> Verdict:
    """Return the verdict on a center without any data."""
    return Verdict(kind="silence", key=subject.key, state="no_baseline", reason="Nothing was ever counted.")
