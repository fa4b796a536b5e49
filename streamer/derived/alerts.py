"""Generate the Prometheus rules that forward the server's alerts, and those that watch their delivery.

The server evaluates alert rules (streamer/alerts); Prometheus evaluates nothing again. It forwards each
firing alert, unless servers notify Alertmanager directly: each server exports whether it does, so
Alertmanager is never notified twice, whatever settings these files were generated with.
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
    # While no server reports what fires (a restart, a failed scrape), keep what fired before.
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
            "Open `explain_url` for the evidence, the start time and the contacts behind the alert; you can "
            "acknowledge or silence it there."
        ),
        labels={},
        trials=tuple(_trials()),
        link=_explained(settings),
    )


# Annotations are Go templates.


def _explained(settings: Settings) -> str:
    """Return the URL of the page that explains the alert; the alert's labels replace RULE and GROUP."""
    page = links.explanation(links.base(settings), "RULE", "GROUP")
    group = _of_group(settings, "", "{{{{ {} | urlquery }}}}", "%2C")
    return page.replace("RULE", "{{ $labels.alert | urlquery }}").replace("GROUP", group)


def _whom(settings: Settings) -> str:
    return _of_group(settings, "the whole center", "{{{{ {} }}}}", " · ")


def _of_group(settings: Settings, of_all: str, shown: str, between: str) -> str:
    """Return a template for the values of a group's labels, each formatted by `value_template`."""
    text = f'{{{{ if eq $labels.by "all" }}}}{of_all}'
    for pair in settings.pairs:
        values = between.join(shown.format(f"$labels.{name}") for name in pair.split(","))
        text += f'{{{{ else if eq $labels.by "{pair}" }}}}{values}'
    return f"{text}{{{{ else }}}}{shown.format('index $labels $labels.by')}{{{{ end }}}}"


# Tests of the rules.

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
    yield Trial("an alert that a server exports fires", _said("1x20") | mine, "0m", told)
    yield Trial("one that it does not export does not fire", mine, "5m")
    yield Trial("an alert ends as soon as the server stops exporting it", _said("1 1 stale") | mine, "2m")
    yield Trial(
        "alerts are not forwarded if servers notify Alertmanager directly", _said("1x20") | theirs, "5m"
    )
    both = _said("1x20") | _said("1x20", "b") | mine
    yield Trial("one such server is enough", both | _tells("1x20", "b"), "5m")
    yield Trial("an alert exported by two servers fires once", both | _tells("0x20", "b"), "5m", told)
    half = _said("1x20") | mine | _tells("0x20", "b")
    yield Trial("a server that does not know the alert yet does not end it", half, "5m", told)
    either = _said("1x20", labels=_CENTER) | _said("1x20") | mine
    yield Trial("each group has an alert of its own", either, "5m", (_LABELS, _CENTER))
    changed = _said("1x20") | _tells("0 0 1 1 1")
    yield Trial("Prometheus stops once servers notify Alertmanager directly", changed, "2m")

    restart = _said("1 1 stale 1 1") | _tells("0 0 stale 0 0")
    yield Trial("a server restart ends no alert", restart, "2m", told)
    yield Trial("nor does the end of the restart", restart, "3m", told)
    knows_later = _said("1 1 stale stale 1") | _tells("0 0 stale stale 0")
    yield Trial("nor the time until the server knows again what fires", knows_later, "3m", told)
    gone = _said("1 1 stale") | _tells("0 0 stale")
    yield Trial("an alert goes on while no server answers", gone, "20m", told)
    other = gone | _tells("0x20", "b")
    yield Trial("it ends if another server answers and does not export it", other, "2m")
    ended = _said("1 stale") | _tells("0 0 0 stale stale")
    yield Trial("an alert that ended before a restart does not come back", ended, "3m")
    over_meanwhile = _said("1 1 stale") | _tells("0 0 stale stale 0 0")
    yield Trial("an alert that ended during a restart ends once a server is back", over_meanwhile, "4m")


# Alerts about delivery itself.


_WITHHELD: Final = Alert(
    alert="AlertsWithheld",
    expr=f"max(cx_alerts_withheld) > 0 unless on () (max({_TELLS}) == 1)",
    lasting="1m",
    severity="warning",
    summary="{{ $value }} firing alerts about agents are withheld from Prometheus.",
    description=(
        "Alertmanager does not get them. Let Prometheus read agents (`export_agents`, and `agent_names` of "
        'its token), or let servers notify Alertmanager directly (`delivery.via = "api"`).'
    ),
    labels={},
    trials=(
        Trial("alerts that cannot be forwarded are reported", {"cx_alerts_withheld": "1x9"}, "2m", ({},)),
        Trial("none withheld is not reported", {"cx_alerts_withheld": "0x9"}, "2m"),
        Trial("nor alerts that servers send directly", {"cx_alerts_withheld": "1x9"} | _tells("1x9"), "2m"),
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
    summary="No server evaluates alert rules: no alert can fire.",
    description="No server holds the lease: none reaches the store. Check the log of `streamer serve`.",
    labels={},
    trials=(
        Trial(
            "two servers that evaluate nothing are reported",
            _judging("0x9") | _judging("0x9", "b"),
            "6m",
            ({},),
        ),
        Trial("one of two that evaluates is enough", _judging("0x9") | _judging("1x9", "b"), "6m"),
    ),
)

_NOT_SENT: Final = Alert(
    alert="MessagesNotSent",
    expr="max by (receiver) (streamer_alert_messages_waiting) > 0",
    lasting="10m",
    severity="warning",
    summary="Receiver {{ $labels.receiver }} gets no alert messages: {{ $value }} are waiting.",
    description="They are retried, and dropped after `delivery.keep`. Check the log of `streamer serve`.",
    labels={},
    trials=(
        Trial(
            "a receiver that accepts nothing is reported once for all servers",
            {f'streamer_alert_messages_waiting{{receiver="desk",instance="{one}"}}': "1x20" for one in "ab"},
            "11m",
            ({"receiver": "desk"},),
        ),
        Trial(
            "one that accepts the messages in the end is not",
            {'streamer_alert_messages_waiting{receiver="desk"}': "1x8 0x12"},
            "11m",
        ),
    ),
)
