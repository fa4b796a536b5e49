"""What is printed of judgements says what is wrong first, and shows how the evidence came about."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.alerts.telling import Judgement, as_json, explained, listed
from streamer.cli import main
from tests.alerts.simulated import NOW, NPS, Drawn, days_ago, drawn, only, watched, written

DROP = {"kind": "drop", "metric": "nps_score"}


def worse(queue: str, hour: int) -> np.ndarray:
    fallen = queue == "billing" and hour >= days_ago(1.5)
    return np.array([0.6, 0.3, 0.1] if fallen else [0.2, 0.3, 0.5])


def fallen(queues: Sequence[str] = ("sales", "billing")) -> Drawn:
    return drawn(queues, 200, NPS, worse)


async def judged(**rules: object) -> Judgement:
    settings = only(**rules or {"nps_fell": DROP})  # type: ignore[arg-type]
    return Judgement.of(await watched(await written(fallen()), settings), NOW, None, "UTC")


async def test_the_worst_is_listed_first() -> None:
    first, second = listed((await judged()).judged).splitlines()
    assert first.startswith("fires       nps-fell [billing]: NPS of billing has fallen to ")
    assert " nps-fell [sales]: " in second
    assert not second.startswith("fires")


async def test_json_has_rule_state_reason_and_figures() -> None:
    one, _ = sorted(json.loads(as_json((await judged()).judged)), key=lambda verdict: verdict["key"])
    assert (one["rule"], one["key"], one["state"], one["kind"]) == ("nps-fell", "billing", "fires", "drop")
    assert one["figures"]["evidence"] >= one["figures"]["line"] > 0


async def test_a_drop_is_explained_by_figures_and_by_evidence_that_reaches_the_line() -> None:
    judgement = await judged()
    (fires,) = (one for one in judgement.judged if one.verdict.state == "fires")
    head, reason, *rest = explained(judgement, fires).splitlines()
    assert head == "nps-fell [billing]: fires"
    assert reason.strip() == fires.verdict.reason
    assert {"value", "usual", "decision"} <= {line.split()[0] for line in rest}
    bars = [line for line in rest if "│" in line]
    assert 12 <= len(bars) <= 24
    assert "fires" not in bars[0]
    assert bars[-1].endswith("│ fires")


async def test_where_nothing_fell_the_evidence_stays_below_the_line() -> None:
    judgement = await judged()
    (sales,) = (one for one in judgement.judged if one.verdict.key == "sales")
    assert "│ fires" not in explained(judgement, sales)


async def test_a_target_is_explained_by_its_interval() -> None:
    judgement = await judged(one={"kind": "target", "metric": "nps_score", "window": "24h", "target": 20})
    text = "\n".join(explained(judgement, one) for one in judgement.judged)
    assert {"lower", "upper", "target", "z"} <= {line.split()[0] for line in text.splitlines()}
    assert "decision line" not in text


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
        (("explain", "nps"), "nps: there is no such rule, expected one of nps-target, "),
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
        "STREAMER_ALERTS", '{"mine": {"kind": "target", "metric": "csat_ratio", "target": 1.2}}'
    )
    found = asked(alerts, "list")
    assert found.exit_code == 2
    assert found.output.startswith("streamer: alerts.mine.target")
