"""Detection of missing data: no events at hours of the week that usually have some.

The number of events of an hour varies more than by chance alone: it is modelled as a gamma distribution
around the baseline of the hour of the week. Then, where E events are expected, none comes with the
probability (1 + E / shape)^−shape. Each event ends one stretch without events: so the false alarms of a
month are its events times this probability.
"""

from typing import Final

import numpy as np

from streamer.alerts.judging.drops import LEAST_LEARNED
from streamer.alerts.judging.series import Series
from streamer.alerts.rules import Rule
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, Verdict
from streamer.alerts.words import clock, coming
from streamer.events.rules import HOUR

LEAST_WEEKS: Final = 1


def silent(series: Series, rule: Rule, subject: Subject) -> Verdict:
    group, usual = series.keys.index(subject.key), series.usual
    learned, many = int(usual.support[group]), int((usual.support >= LEAST_LEARNED).sum())
    whose = coming(rule.metric, rule.by, subject.name)
    if learned < LEAST_LEARNED or usual.weeks < LEAST_WEEKS:
        figures = Figures(learned_of=learned, least=LEAST_LEARNED)
        reason = f"There is no baseline yet for {whose}."
        return Verdict(kind="silence", key=subject.key, state="no_baseline", reason=reason, figures=figures)
    last, promised = last_event(series, group), _promised(series, group)
    often = usual.a_month[group] * (many if rule.shared else 1) / rule.false_alarms
    shape = float(usual.shape[group])
    evidence, line = shape * float(np.log1p(promised / shape)), float(np.log(max(often, 2.0)))
    figures = Figures(
        value=0.0, usual=promised, support=0, evidence=evidence, line=line, since=last,
        a_month=float(usual.a_month[group]), learned_of=learned,
    )  # fmt: skip
    if evidence < line:
        reason = f"{whose[:1].upper()}{whose[1:]} are as usual at these hours."
        return Verdict(kind="silence", key=subject.key, state="holds", reason=reason, figures=figures)
    reason = (
        f"No {whose} since {clock(last, series.at, subject.zone)}: "
        f"about {promised:.0f} are usual in that time at these hours."
    )
    return Verdict(kind="silence", key=subject.key, state="fires", reason=reason, figures=figures)


def last_event(series: Series, group: int) -> int:
    """Return the end of the last step that held something, ms; at most `series.at`."""
    held = np.flatnonzero(series.counts[:, group].any(axis=1))
    if not len(held):
        return int(series.starts[0]) if len(series.starts) else series.at
    at = int(held[-1]) + 1
    return min(int(series.starts[at]) if at < len(series.starts) else series.at, series.at)


def _promised(series: Series, group: int) -> float:
    """Return the events expected from the last one until `series.at`."""
    ends = np.append(series.starts[1:], series.at)
    spans = np.minimum(ends, series.at) - np.maximum(series.starts, last_event(series, group))
    rates = series.usual.rates[group, series.hours[:, group]]
    return float(np.maximum(spans, 0) @ rates) / HOUR


def unheard(subject: Subject) -> Verdict:
    """Return the verdict on a center without any data."""
    return Verdict(kind="silence", key=subject.key, state="no_baseline", reason="Nothing was ever counted.")
