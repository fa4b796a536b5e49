"""Generate the Prometheus rules that forward the server's alerts, and those that watch their delivery.

The server evaluates alert rules (streamer/alerts); Prometheus evaluates nothing again. It forwards each
firing alert, unless servers notify Alertmanager directly: each server exports whether it does, so
Alertmanager is never notified twice, whatever settings these files were generated with.
"""

from collections.abc import Iterator
from typing import Final

from streamer.alerts.alert_message import PROMETHEUS_ALERTNAME as PASSED_ON
from streamer.alerts.messages import links
from streamer.artefacts import promql
from streamer.artefacts.prometheus_rules import AlertingRule, RuleGroup, RuleTest
from streamer.settings import Settings

_SENDS_DIRECTLY: Final = "streamer_tells_alertmanager"
_LAST_KNOWN: Final = f'ALERTS{{alertname="{PASSED_ON}",alertstate="firing"}}'
_EXPR: Final = (
    "(\n"
    f"  {promql.across_servers('cx_alert_firing')}\n"
    # While no server reports what fires (a restart, a failed scrape), keep what fired before.
    f"  or (max without (alertname, alertstate) ({_LAST_KNOWN}) unless on () max({_SENDS_DIRECTLY}))\n"
    ")\n"
    f"unless on () (max({_SENDS_DIRECTLY}) == 1)"
)


def forwarding_group(settings: Settings) -> RuleGroup:
    return RuleGroup(
        "streamer_alerts",
        (_forwarded_alert(settings), _ALERTS_WITHHELD, _ALERTS_NOT_JUDGED, _MESSAGES_NOT_SENT),
    )


def _forwarded_alert(settings: Settings) -> AlertingRule:
    return AlertingRule(
        alert=PASSED_ON,
        expr=_EXPR,
        for_duration="0s",
        severity=None,
        summary=f"The rule {{{{ $labels.alert }}}} fires for {_group_text(settings)}.",
        description=(
            "Open `explain_url` for the evidence, the start time and the contacts behind the alert; you can "
            "acknowledge or silence it there."
        ),
        labels={},
        tests=tuple(_rule_tests()),
        link=_explanation_url(settings),
    )


# Annotations are Go templates.


def _explanation_url(settings: Settings) -> str:
    """Return the URL of the page that explains the alert; the alert's labels replace RULE and GROUP."""
    page = links.explanation_url(links.base_url(settings), "RULE", "GROUP")
    group = _group_template(settings, "", "{{{{ {} | urlquery }}}}", "%2C")
    return page.replace("RULE", "{{ $labels.alert | urlquery }}").replace("GROUP", group)


def _group_text(settings: Settings) -> str:
    return _group_template(settings, "the whole center", "{{{{ {} }}}}", " · ")


def _group_template(settings: Settings, center_text: str, value_template: str, separator: str) -> str:
    """Return a template for the values of a group's labels, each formatted by `value_template`."""
    text = f'{{{{ if eq $labels.by "all" }}}}{center_text}'
    for pair in settings.dimension_pairs:
        values = separator.join(value_template.format(f"$labels.{name}") for name in pair.split(","))
        text += f'{{{{ else if eq $labels.by "{pair}" }}}}{values}'
    return f"{text}{{{{ else }}}}{value_template.format('index $labels $labels.by')}{{{{ end }}}}"


# Tests of the rules.

_LABELS: Final = {
    "alert": "nps-drop",
    "severity": "warning",
    "metric": "nps_score",
    "by": "queue",
    "queue": "billing",
}
_CENTER_LABELS: Final = {"alert": "silence", "severity": "critical", "metric": "offered", "by": "all"}


def _firing_series(values: str, server: str = "a", labels: dict[str, str] = _LABELS) -> dict[str, str]:
    where = {"job": "streamer", "instance": server}
    return {promql.series_selector("cx_alert_firing", {**labels, **where}): values}


def _direct_series(values: str, server: str = "a") -> dict[str, str]:
    return {promql.series_selector(_SENDS_DIRECTLY, {"job": "streamer", "instance": server}): values}


def _rule_tests() -> Iterator[RuleTest]:
    firing, via_prometheus, directly = (_LABELS,), _direct_series("0x20"), _direct_series("1x20")
    yield RuleTest(
        "an alert that a server exports fires", _firing_series("1x20") | via_prometheus, "0m", firing
    )
    yield RuleTest("one that it does not export does not fire", via_prometheus, "5m")
    yield RuleTest(
        "an alert ends as soon as the server stops exporting it",
        _firing_series("1 1 stale") | via_prometheus,
        "2m",
    )
    yield RuleTest(
        "alerts are not forwarded if servers notify Alertmanager directly",
        _firing_series("1x20") | directly,
        "5m",
    )
    two_servers = _firing_series("1x20") | _firing_series("1x20", "b") | via_prometheus
    yield RuleTest("one such server is enough", two_servers | _direct_series("1x20", "b"), "5m")
    yield RuleTest(
        "an alert exported by two servers fires once", two_servers | _direct_series("0x20", "b"), "5m", firing
    )
    one_server = _firing_series("1x20") | via_prometheus | _direct_series("0x20", "b")
    yield RuleTest("a server that does not know the alert yet does not end it", one_server, "5m", firing)
    two_groups = _firing_series("1x20", labels=_CENTER_LABELS) | _firing_series("1x20") | via_prometheus
    yield RuleTest("each group has an alert of its own", two_groups, "5m", (_LABELS, _CENTER_LABELS))
    switched = _firing_series("1x20") | _direct_series("0 0 1 1 1")
    yield RuleTest("Prometheus stops once servers notify Alertmanager directly", switched, "2m")

    restart = _firing_series("1 1 stale 1 1") | _direct_series("0 0 stale 0 0")
    yield RuleTest("a server restart ends no alert", restart, "2m", firing)
    yield RuleTest("nor does the end of the restart", restart, "3m", firing)
    late_restart = _firing_series("1 1 stale stale 1") | _direct_series("0 0 stale stale 0")
    yield RuleTest("nor the time until the server knows again what fires", late_restart, "3m", firing)
    outage = _firing_series("1 1 stale") | _direct_series("0 0 stale")
    yield RuleTest("an alert goes on while no server answers", outage, "20m", firing)
    second_server = outage | _direct_series("0x20", "b")
    yield RuleTest("it ends if another server answers and does not export it", second_server, "2m")
    over_before = _firing_series("1 stale") | _direct_series("0 0 0 stale stale")
    yield RuleTest("an alert that ended before a restart does not come back", over_before, "3m")
    over_meanwhile = _firing_series("1 1 stale") | _direct_series("0 0 stale stale 0 0")
    yield RuleTest("an alert that ended during a restart ends once a server is back", over_meanwhile, "4m")


# Alerts about delivery itself.


_ALERTS_WITHHELD: Final = AlertingRule(
    alert="AlertsWithheld",
    expr=f"max(cx_alerts_withheld) > 0 unless on () (max({_SENDS_DIRECTLY}) == 1)",
    for_duration="1m",
    severity="warning",
    summary="{{ $value }} firing alerts about agents are withheld from Prometheus.",
    description=(
        "Alertmanager does not get them. Let Prometheus read agents (`export_agents`, and `agent_names` of "
        'its token), or let servers notify Alertmanager directly (`delivery.via = "api"`).'
    ),
    labels={},
    tests=(
        RuleTest("alerts that cannot be forwarded are reported", {"cx_alerts_withheld": "1x9"}, "2m", ({},)),
        RuleTest("none withheld is not reported", {"cx_alerts_withheld": "0x9"}, "2m"),
        RuleTest(
            "nor alerts that servers send directly",
            {"cx_alerts_withheld": "1x9"} | _direct_series("1x9"),
            "2m",
        ),
    ),
)


def _judging_series(values: str, server: str = "a") -> dict[str, str]:
    where = {"job": "streamer", "instance": server}
    return {promql.series_selector("streamer_alerts_judging", where): values}


_ALERTS_NOT_JUDGED: Final = AlertingRule(
    alert="AlertsNotJudged",
    expr="max(streamer_alerts_judging) == 0",
    for_duration="5m",
    severity="critical",
    summary="No server evaluates alert rules: no alert can fire.",
    description="No server holds the lease: none reaches the store. Check the log of `streamer serve`.",
    labels={},
    tests=(
        RuleTest(
            "two servers that evaluate nothing are reported",
            _judging_series("0x9") | _judging_series("0x9", "b"),
            "6m",
            ({},),
        ),
        RuleTest(
            "one of two that evaluates is enough", _judging_series("0x9") | _judging_series("1x9", "b"), "6m"
        ),
    ),
)

_MESSAGES_NOT_SENT: Final = AlertingRule(
    alert="MessagesNotSent",
    expr="max by (receiver) (streamer_alert_messages_waiting) > 0",
    for_duration="10m",
    severity="warning",
    summary="Receiver {{ $labels.receiver }} gets no alert messages: {{ $value }} are waiting.",
    description="They are retried, and dropped after `delivery.keep`. Check the log of `streamer serve`.",
    labels={},
    tests=(
        RuleTest(
            "a receiver that accepts nothing is reported once for all servers",
            {f'streamer_alert_messages_waiting{{receiver="desk",instance="{one}"}}': "1x20" for one in "ab"},
            "11m",
            ({"receiver": "desk"},),
        ),
        RuleTest(
            "one that accepts the messages in the end is not",
            {'streamer_alert_messages_waiting{receiver="desk"}': "1x8 0x12"},
            "11m",
        ),
    ),
)
