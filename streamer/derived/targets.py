"""Here are the alerts of the center: a figure's whole interval lies on the wrong side of its target."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from streamer.derived import exported, figures, promql
from streamer.derived.rules import Alert, Group, Trial
from streamer.metrics.catalogue import Metric
from streamer.settings import Settings

LASTING: Final = "10m"
_LONG: Final = "+0x20"
_WHOM: Final = '{{ or $labels.queue "the whole center" }}'


class Aim(NamedTuple):
    """A target, and the groups it is for: matchers, and one such group as an example."""

    target: float
    groups: Mapping[str, str]
    example: Mapping[str, str]


def targets(settings: Settings) -> Group:
    """A rule for each metric that is looked at and has an interval and a target, and one more for each
    queue whose target is its own."""
    rules = [_rule(metric, aim, settings) for metric in _watched(settings) for aim in _aims(metric, settings)]
    return Group("streamer_targets", tuple(rules))


def _watched(settings: Settings) -> list[Metric]:
    """The tiles of the wall, and what somebody set a target for: who is told of everything hears nothing."""
    names = {tile for view in settings.all_views().values() for tile in view.tiles}
    names |= {name for own in settings.targets.queues.values() for name in own} | {
        *settings.targets.by_metric
    }
    return [m for m in exported.metrics(settings) if m.measure.interval and m.name in names]


def _aims(metric: Metric, settings: Settings) -> Iterator[Aim]:
    own, usual = exported.own_targets(metric, settings), settings.target(metric.name)
    if usual is not None:
        others = {"queue": f"!~{promql.quoted(promql.any_of(own))}"} if own else {}
        yield Aim(usual, {"by": '=~"all|queue"', **others}, {"by": "queue", "queue": "any queue"})
    for queue, target in own.items():
        if target is not None:
            yield Aim(target, {"queue": f"={promql.quoted(queue)}"}, {"by": "queue", "queue": queue})


def _rule(metric: Metric, aim: Aim, settings: Settings) -> Alert:
    labels = {"window": exported.usual_window(settings), **promql.stat(metric)}
    if "by" not in aim.groups:
        labels["by"] = "queue"
    end, sign = _near_end(metric)
    figure = promql.series(promql.figure(metric, end), labels, aim.groups)
    support = promql.series(promql.figure(metric, "support"), labels, aim.groups)
    title, least = figures.title(metric), settings.least_support
    return Alert(
        alert="TargetMissed",
        expr=f"{figure} {sign} {aim.target:g}\n  and {support} >= {least}",
        lasting=LASTING,
        severity="warning",
        summary=f"{title} of {_WHOM} misses its target of {aim.target:g}.",
        description=(
            f'The {end} end of its 95 % interval is {{{{ $value | printf "%.4g" }}}}: so far from the target '
            f"that chance does not explain it. Window: {labels['window']}. {metric.help}"
        ),
        labels={"metric": metric.name},
        trials=tuple(_trials(metric, aim, labels, least)),
    )


def _near_end(metric: Metric) -> tuple[str, str]:
    """The end of the interval that is nearer to the good side, and where it may not be."""
    return ("upper", "<") if metric.better == "higher" else ("lower", ">")


def _trials(metric: Metric, aim: Aim, labels: Mapping[str, str], least: int) -> Iterator[Trial]:
    end, sign = _near_end(metric)
    group = {**labels, **aim.example}
    step = max(1, abs(aim.target)) / 1e4
    missed = aim.target - step if sign == "<" else aim.target + step

    def series(value: float, support: int) -> dict[str, str]:
        return {
            promql.series(promql.figure(metric, end), group): f"{value:.6f}{_LONG}",
            promql.series(promql.figure(metric, "support"), group): f"{support}{_LONG}",
        }

    told = (group,)
    title = figures.title(metric)
    yield Trial(f"{title} that just misses its target is told of", series(missed, least), "15m", told)
    yield Trial(f"{title} whose interval touches it is not", series(aim.target, least), "15m")
    yield Trial(f"{title} of too small a sample is not", series(missed, least - 1), "15m")
    yield Trial(f"{title} is not told of at once", series(missed, least), "9m")
