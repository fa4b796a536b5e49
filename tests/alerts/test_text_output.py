"""Text output of alerts: problems first, who was notified, the reasons, and backtests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.progress import Progress

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.reports import text_output
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert
from streamer.cli import main
from streamer.delivery import commands
from streamer.delivery.alert_state import (
    EMPTY_STATE,
    Acknowledgement,
    AlertSilence,
    AlertState,
    add_silence,
    apply_evaluation,
    mark_sent,
    set_acknowledgement,
)
from streamer.delivery.commands import CommandContext
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.readings.query import QueryError
from streamer.settings import Settings, load_settings
from tests.alerts.simulated import NOW, NPS, Drawn, days_ago, drawn, only, read, written
from tests.delivery.alert_samples import evaluation_round
from tests.delivery.alert_samples import message as said_of

DROP: Mapping[str, object] = {"kind": "drop", "metric": "nps_score"}


def worse(queue: str, hour: int) -> np.ndarray:
    fallen = queue == "billing" and hour >= days_ago(1.5)
    return np.array([0.6, 0.3, 0.1] if fallen else [0.2, 0.3, 0.5])


def fallen(queues: Sequence[str] = ("sales", "billing")) -> Drawn:
    return drawn(queues, 200, NPS, worse, seed=2)


async def known(
    settings: Settings, record: AlertState = EMPTY_STATE, part: Drawn | None = None
) -> CommandContext:
    reader = await read(await written(part or fallen()), settings)
    return CommandContext(
        settings, reader, RuleEvaluator(reader, settings, load_alert_rules(settings)), record, NOW
    )


def firing(rule: str = "nps-fell", key: str = "billing", since: int = NOW - HOUR) -> Alert:
    return Alert(rule=rule, key=key, phase="firing", began_at=since, seen_at=NOW, fired_at=since + 5 * MINUTE)


# What stands.


async def test_the_worst_is_listed_first() -> None:
    first, second = commands.format_list(await known(only(nps_fell=DROP)), None, as_json=False).splitlines()
    assert first.startswith("fires       nps-fell [billing]: NPS of billing has fallen to ")
    assert " nps-fell [sales]: " in second
    assert not second.startswith("fires")


async def test_before_all_verdicts_stands_what_somebody_was_told_or_soon_will_be() -> None:
    alerts = (
        msgspec.structs.replace(firing(key="sales"), phase="pending", fired_at=None),
        msgspec.structs.replace(firing(key="gone"), phase="resolved", resolved_at=NOW),
        msgspec.structs.replace(firing(key="north"), phase="clearing"),
        firing(since=NOW - DAY),
    )
    record = AlertState(alerts=alerts, acknowledged={alerts[3].id: Acknowledgement("ana", NOW, "on it")})
    silence = AlertSilence(id="1", rule="nps-fell", key=None, since=0, until=NOW + 2 * HOUR, by="ben")
    found = await known(only(nps_fell=DROP), add_silence(record, silence))
    lines = commands.format_list(found, None, as_json=False).splitlines()
    assert lines[0] == (
        "FIRING      nps-fell [billing] since Fri 20 Nov 10:00; fired at Fri 20 Nov 10:05; "
        "acknowledged by ana at 10:00 (on it); silenced by ben until 12:00"
    )
    assert lines[1].startswith("CLEARING    nps-fell [north] since 09:00; fired at 09:05; silenced by ben")
    assert lines[2].startswith("PENDING     nps-fell [sales] since 09:00; silenced by ben")
    assert lines[3] == ""
    assert "gone" not in "\n".join(lines)
    past = commands.format_list(found, "2026-11-21T09:00:00Z", as_json=False)
    assert "FIRING" not in past


async def test_json_has_rule_state_reason_figures_and_the_alert() -> None:
    found = await known(only(nps_fell=DROP), AlertState(alerts=(firing(),)))
    both = sorted(json.loads(commands.format_list(found, None, as_json=True)), key=lambda one: one["key"])
    one, other = both
    assert (one["rule"], one["key"], one["state"], one["kind"]) == ("nps-fell", "billing", "fires", "drop")
    assert one["figures"]["evidence"] > 0
    assert one["alert"] == {
        "id": firing().id, "phase": "firing", "since": NOW - HOUR, "fired_at": NOW - HOUR + 5 * MINUTE,
        "told": None, "acknowledged": None, "silenced": None,
    }  # fmt: skip
    assert other["alert"] is None


async def test_an_alert_of_a_group_that_is_judged_no_more_is_in_the_json_too() -> None:
    (judged,) = (await known(only(nps_fell=DROP))).evaluator.evaluate_rules(NOW)[:1]
    told = msgspec.structs.replace(judged.verdict, key="gone")
    alert = msgspec.structs.replace(firing(key="gone"), fired=told)
    found = await known(only(nps_fell=DROP), AlertState(alerts=(alert,)))
    states = {one["key"]: one["state"] for one in json.loads(commands.format_list(found, None, as_json=True))}
    assert states["gone"] == "few"


# Why.


async def test_an_explanation_shows_figures_promises_and_evidence_that_reaches_the_line() -> None:
    found = await known(only(nps_fell=DROP))
    head, reason, needed, *rest = commands.format_explanation(
        found, "nps-fell", "billing", None, False
    ).splitlines()
    assert head == "nps-fell [billing]: fires"
    assert reason.strip().startswith("NPS of billing has fallen to ")
    assert needed.strip().startswith("It is over once the evidence is below ")
    words = {line.split()[0] for line in rest if line.strip()}
    assert {"value", "usual", "decision", "false_alarms", "clear", "hours"} <= words
    bars = [line for line in rest if "│" in line]
    assert 12 <= len(bars) <= 24
    assert "fires" not in bars[0]
    assert bars[-1].endswith("│ fires")


async def test_where_nothing_fell_the_evidence_stays_below_the_line() -> None:
    found = await known(only(nps_fell=DROP))
    assert "│ fires" not in commands.format_explanation(found, "nps-fell", "sales", None, False)


async def test_a_target_is_drawn_as_a_figure_in_its_interval() -> None:
    rule = {"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 20}
    text = commands.format_explanation(await known(only(one=rule)), "one", "billing", None, False)
    assert {"lower", "upper", "target"} <= {line.split()[0] for line in text.splitlines() if line.strip()}
    rows = [line for line in text.splitlines() if "●" in line][1:]
    assert len(rows) == 24
    assert rows[-1].index("●") < rows[-1].index("│")  # worse than the target
    assert "decision line" not in text


async def test_of_many_groups_the_worst_are_explained_and_the_others_named() -> None:
    queues = ["a", "b", "billing", "c", "d"]
    text = commands.format_explanation(
        await known(only(one=DROP), part=fallen(queues)), "one", None, None, False
    )
    assert text.startswith("one [billing]: fires\n")
    assert text.count("  the rule\n") == commands.MAX_EXPLAINED
    assert len(text.partition("Others (--key explains one):\n")[2].splitlines()) == 2


async def test_an_explanation_says_who_was_told() -> None:
    there = {"receivers": {name: {"url": "http://127.0.0.1"} for name in ("floor", "desk")}}
    given = only(nps_fell=DROP).model_dump(exclude_unset=True, by_alias=True)
    settings = Settings.model_validate(given | there)
    alert = firing()
    message = said_of(alert)
    record = apply_evaluation(EMPTY_STATE, evaluation_round(alert, messages=[message], to=("floor", "desk")))
    record = mark_sent(record, "floor", [message.id])
    record = set_acknowledgement(record, alert.id, Acknowledgement("ana", NOW))
    text = commands.format_explanation(await known(settings, record), "nps-fell", "billing", None, False)
    assert (
        "  firing: since 09:00; fired at 09:05; sent to floor, waiting for desk; "
        "acknowledged by ana at 10:00\n"
    ) in text


@pytest.mark.parametrize(
    ("name", "key", "at", "said"),
    [
        ("nps-fel", None, None, "nps-fel: no such rule, expected one of nps-fell"),
        ("xyz", None, None, "xyz: no such rule, expected one of nps-fell"),
        ("nps-fell", "biling", None, "key = 'biling': no such queue, expected one of billing"),
        ("nps-fell", None, "2026-11-21T11:00:00Z", "expected a time in the past"),
        ("nps-fell", None, "2026-01-01T00:00:00Z", "no data from before Sat 12 Sep 11:00 is kept"),
    ],
)
async def test_a_question_that_cannot_be_answered_says_what_was_meant(
    name: str, key: str | None, at: str | None, said: str
) -> None:
    found = await known(only(nps_fell=DROP))
    with pytest.raises(QueryError) as raised:
        commands.format_explanation(found, name, key, at, as_json=False)
    assert said in str(raised.value)


# What would have been.


async def test_a_rehearsal_is_printed_with_reasons_and_what_is_promised() -> None:
    found = await known(only(nps_fell=DROP))
    text = text_output.backtest_as_text(
        commands.backtest_rules(found, "2026-11-19T12:00:00Z", None, ["nps-fell"], Progress(disable=True)),
        "UTC",
    )
    head, _, fired, over, *_ = text.splitlines()
    assert head.startswith("Thu 19 Nov 12:00 to Sat 21 Nov 10:00, evaluated ")
    assert "  nps-fell [billing]: NPS of billing has fallen to " in fired
    assert over == "  still firing at the end"
    assert "nps-fell      1       2       0.13" in text.splitlines()[-3]  # 46 of 730.5 hours, for each


async def test_a_rule_is_tried_before_it_is_put_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = tmp_path / "candidate.toml"
    candidate.write_text('[alerts.careful]\nkind = "drop"\nmetric = "nps_score"\nfalse_alarms = 0.1\n')
    monkeypatch.setenv("STREAMER_CONFIG", str(candidate))
    found = await known(load_settings())
    told = commands.backtest_rules(found, "2026-11-20T00:00:00Z", None, ["careful"], Progress(disable=True))
    assert {ring.rule for ring in told.rings} == {"careful"}
    assert [one.rule for one in told.rules] == ["careful"]


async def test_of_what_is_not_kept_or_too_short_nothing_is_rehearsed() -> None:
    found, bar = await known(only(nps_fell=DROP)), Progress(disable=True)
    for since, until in (
        ("2026-01-01T00:00:00Z", None),
        ("2026-11-21T09:56:00Z", "2026-11-21T09:58:00Z"),
        ("2026-11-21T09:00:00Z", "2026-11-20T09:00:00Z"),
    ):
        with pytest.raises(QueryError):
            commands.backtest_rules(found, since, until, [], bar)


# The commands.


@pytest.fixture
def alerts(store_url: str, center: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("STREAMER_REDIS", store_url)
    monkeypatch.setenv("STREAMER_CENTER", center)
    return CliRunner()


def asked(alerts: CliRunner, *arguments: str) -> Result:
    return alerts.invoke(main, ["alerts", *arguments])


def test_of_a_center_that_counted_nothing_yet_silence_is_told(alerts: CliRunner) -> None:
    found = asked(alerts, "list")
    assert found.exit_code == 0
    assert "silence" in found.output
    assert json.loads(asked(alerts, "list", "--json").output)[0]["rule"] == "silence"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "nps"), "nps: no such rule, expected one of nps-target"),
        (("explain", "silence", "--at", "2026-01-01T00:00:00Z"), "no data was counted yet"),
        (("test", "--rule", "nps"), "nps: no such rule, "),
        (("test",), "no data was counted yet"),
        (("list", "--at", "yesterday"), "yesterday"),
    ],
)
def test_a_wrong_question_exits_2_with_one_line(
    alerts: CliRunner, arguments: tuple[str, ...], said: str
) -> None:
    found = asked(alerts, *arguments)
    assert (found.exit_code, found.output.count("\n")) == (2, 1)
    assert said in found.output


def test_a_rule_that_cannot_work_exits_2(alerts: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "STREAMER_ALERTS", '{"mine": {"kind": "threshold", "metric": "csat_ratio", "target": 1.2}}'
    )
    found = asked(alerts, "list")
    assert found.exit_code == 2
    assert found.output.startswith("streamer: alerts.mine.target")
