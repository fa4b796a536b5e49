"""Here is how alerts of the server reach Prometheus, and what must be told of their delivery itself.

The server judges (streamer/alerts); here nothing is judged again. An alert that fires is passed on, unless
servers tell Alertmanager themselves: each says so beside its alerts, so that it is never told twice,
whatever these files were derived with.
"""

from collections.abc import Iterator
from typing import Final

from streamer.alerts.saying import links
from streamer.delivery.matching import PROMETHEUS as PASSED_ON
from streamer.derived import promql
from streamer.derived.rules import Alert, Group, Trial
from streamer.settings import Settings

_TELLS: Final = "streamer_tells_alertmanager"
_MEMORY: Final = f'ALERTS{{alertname="{PASSED_ON}",alertstate="firing"}}'
_EXPR: Final = (
    "(\n"
    f"  {promql.any_server('cx_alert_firing')}\n"
    # While no server knows what fires (a restart, a scrape that failed), what fired before still does.
    f"  or (max without (alertname, alertstate) ({_MEMORY}) unless on () max({_TELLS}))\n"
    ")\n"
    f"unless on () (max({_TELLS}) == 1)"
)


def alerts(settings: Settings) -> Group:
    return Group("streamer_alerts", (_passed_on(settings), _WITHHELD, _NOT_JUDGED, _NOT_SENT))


def _passed_on(settings: Settings) -> Alert:
    return Alert(
        alert=PASSED_ON,
        expr=_EXPR,
        lasting="0s",
        severity=None,
        summary=f"The rule {{{{ $labels.alert }}}} fires for {_whom(settings)}.",
        description=(
            "What it rests on, since when, and the contacts behind it are on the page under `explain_url`. "
            "There it can be acknowledged and silenced, too."
        ),
        labels={},
        trials=tuple(_trials()),
        link=_explained(settings),
    )


# Annotations are templates of Go.


def _explained(settings: Settings) -> str:
    """The address of the page that says why; the alert's own labels take the place of these two words."""
    page = links.explanation(links.base(settings), "RULE", "GROUP")
    group = _of_group(settings, "", "{{{{ {} | urlquery }}}}", "%2C")
    return page.replace("RULE", "{{ $labels.alert | urlquery }}").replace("GROUP", group)


def _whom(settings: Settings) -> str:
    return _of_group(settings, "the whole center", "{{{{ {} }}}}", " · ")


def _of_group(settings: Settings, of_all: str, shown: str, between: str) -> str:
    """The values of a group's labels, each as it is to be `shown`."""
    text = f'{{{{ if eq $labels.by "all" }}}}{of_all}'
    for pair in settings.pairs:
        values = between.join(shown.format(f"$labels.{name}") for name in pair.split(","))
        text += f'{{{{ else if eq $labels.by "{pair}" }}}}{values}'
    return f"{text}{{{{ else }}}}{shown.format('index $labels $labels.by')}{{{{ end }}}}"


# Trials.

_LABELS: Final = {
    "alert": "nps-drop",
    "severity": "warning",
    "metric": "nps_score",
    "by": "queue",
    "queue": "billing",
}
_CENTER: Final = {"alert": "silence", "severity": "critical", "metric": "offered", "by": "all"}


def _said(values: str, server: str = "a", labels: dict[str, str] = _LABELS) -> dict[str, str]:
    where = {"job": "streamer", "instance": server}
    return {promql.series("cx_alert_firing", {**labels, **where}): values}


def _tells(values: str, server: str = "a") -> dict[str, str]:
    return {promql.series(_TELLS, {"job": "streamer", "instance": server}): values}


def _trials() -> Iterator[Trial]:
    told, mine, theirs = (_LABELS,), _tells("0x20"), _tells("1x20")
    yield Trial("what a server says fires", _said("1x20") | mine, "0m", told)
    yield Trial("what it does not say does not", mine, "5m")
    yield Trial("what was told is over as soon as it says no more", _said("1 1 stale") | mine, "2m")
    yield Trial("servers that tell Alertmanager themselves are not repeated", _said("1x20") | theirs, "5m")
    both = _said("1x20") | _said("1x20", "b") | mine
    yield Trial("one of them is enough for that", both | _tells("1x20", "b"), "5m")
    yield Trial("what two servers say is told once", both | _tells("0x20", "b"), "5m", told)
    half = _said("1x20") | mine | _tells("0x20", "b")
    yield Trial("one that did not hear of it yet does not deny it", half, "5m", told)
    either = _said("1x20", labels=_CENTER) | _said("1x20") | mine
    yield Trial("each group is told of by itself", either, "5m", (_LABELS, _CENTER))
    changed = _said("1x20") | _tells("0 0 1 1 1")
    yield Trial("from the moment they tell themselves, Prometheus is silent", changed, "2m")

    restart = _said("1 1 stale 1 1") | _tells("0 0 stale 0 0")
    yield Trial("a server that starts again ends nothing", restart, "2m", told)
    yield Trial("nor does it when it is back", restart, "3m", told)
    knows_later = _said("1 1 stale stale 1") | _tells("0 0 stale stale 0")
    yield Trial("nor before it knows again what fires", knows_later, "3m", told)
    gone = _said("1 1 stale") | _tells("0 0 stale")
    yield Trial("while no server answers, nobody has said that it is over", gone, "20m", told)
    other = gone | _tells("0x20", "b")
    yield Trial("where another answers, what it does not say is over", other, "2m")
    ended = _said("1 stale") | _tells("0 0 0 stale stale")
    yield Trial("what was over before a restart does not come back", ended, "3m")
    over_meanwhile = _said("1 1 stale") | _tells("0 0 stale stale 0 0")
    yield Trial("what ended in the meantime is over once a server says so", over_meanwhile, "4m")


# Of delivery itself.


_WITHHELD: Final = Alert(
    alert="AlertsWithheld",
    expr=f"max(cx_alerts_withheld) > 0 unless on () (max({_TELLS}) == 1)",
    lasting="1m",
    severity="warning",
    summary="{{ $value }} alerts of agents fire that Prometheus may not see.",
    description=(
        "Nobody is told of them from here. Let Prometheus see agents (`export_agents`, and `agent_names` of "
        'its token), or let servers tell Alertmanager themselves (`delivery.via = "api"`).'
    ),
    labels={},
    trials=(
        Trial("alerts that cannot be passed on are told of", {"cx_alerts_withheld": "1x9"}, "2m", ({},)),
        Trial("none are not", {"cx_alerts_withheld": "0x9"}, "2m"),
        Trial(
            "nor those that servers tell of themselves", {"cx_alerts_withheld": "1x9"} | _tells("1x9"), "2m"
        ),
    ),
)


def _judging(values: str, server: str = "a") -> dict[str, str]:
    where = {"job": "streamer", "instance": server}
    return {promql.series("streamer_alerts_judging", where): values}


_NOT_JUDGED: Final = Alert(
    alert="AlertsNotJudged",
    expr="max(streamer_alerts_judging) == 0",
    lasting="5m",
    severity="critical",
    summary="No server judges the rules of alerts: none can fire.",
    description="It is no server's turn, for none reaches the store. See the log of `streamer serve`.",
    labels={},
    trials=(
        Trial(
            "servers none of which judges are told of", _judging("0x9") | _judging("0x9", "b"), "6m", ({},)
        ),
        Trial("one of two is enough", _judging("0x9") | _judging("1x9", "b"), "6m"),
    ),
)

_NOT_SENT: Final = Alert(
    alert="MessagesNotSent",
    expr="max by (receiver) (streamer_alert_messages_waiting) > 0",
    lasting="10m",
    severity="warning",
    summary="The receiver {{ $labels.receiver }} is not told of alerts: {{ $value }} messages wait.",
    description="They are tried again, and given up after `delivery.keep`. See the log of `streamer serve`.",
    labels={},
    trials=(
        Trial(
            "a receiver that takes nothing is told of, once for all servers",
            {f'streamer_alert_messages_waiting{{receiver="desk",instance="{one}"}}': "1x20" for one in "ab"},
            "11m",
            ({"receiver": "desk"},),
        ),
        Trial(
            "one that takes it in the end is not",
            {'streamer_alert_messages_waiting{receiver="desk"}': "1x8 0x12"},
            "11m",
        ),
    ),
)
