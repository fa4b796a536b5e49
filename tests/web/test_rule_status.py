"""The alert rules, and for each the number of groups with a learned baseline."""

import json

import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.memory_documents import MemoryDocument
from streamer.web.rule_status import rule_statuses
from tests.alerts.simulated import NOW, NPS, drawn, only, read, steady, written
from tests.web.alerted_center import SETTINGS, alerted_server

OF = {"kind": "drop", "metric": "handle_time_seconds", "by": "agent"}
DROP = {"kind": "drop", "metric": "nps_score"}
RULES = only(
    every=DROP, one=DROP | {"key": "sales"},
    target={"kind": "threshold", "metric": "nps_score", "target": 30},
    quiet={"kind": "no_data", "metric": "offered", "by": "all"},
)  # fmt: skip


async def group_counts(store: MemoryStore) -> dict[str, tuple[int | None, int | None]]:
    watch = RuleEvaluator(await read(store, RULES), RULES, load_alert_rules(RULES))
    return {one.name: (one.groups, one.known) for one in rule_statuses(watch, NOW)}


async def test_of_nothing_nothing_is_known_and_targets_need_not_know() -> None:
    nothing = {"every": (0, 0), "one": (0, 0), "target": (None, None), "quiet": (0, 0)}
    assert await group_counts(MemoryStore()) == nothing


async def test_it_counts_the_groups_of_which_it_is_known_what_is_usual() -> None:
    many = drawn(["billing", "sales"], 100, NPS, steady(0.2, 0.3, 0.5))
    few = drawn(["night"], 1, NPS, steady(0.2, 0.3, 0.5))
    found = await group_counts(await written(many, few))
    assert found["every"] == (3, 2)
    assert found["one"] == (1, 1)
    assert found["target"] == (None, None)


@pytest.mark.parametrize(
    ("who", "agents"), [("admin", ["of-ann", "of-bob"]), ("supervisor", ["of-ann"]), ("viewer", None)]
)
async def test_a_rule_of_one_agent_is_shown_to_who_sees_the_agent(
    document: MemoryDocument, who: str, agents: list[str] | None
) -> None:
    told = {**SETTINGS.model_dump(), "alerts": {"of-ann": OF | {"key": "ann"}, "of-bob": OF | {"key": "bob"}}}
    asking = await alerted_server(document, Settings.model_validate(told))
    answer = await asking.ask("/api/v1/alerts/rules", who)
    assert answer.status == (200 if agents else 403)
    if agents:
        named = [one["name"] for one in json.loads(answer.body)]
        assert [name for name in named if name.startswith("of-")] == agents
        assert "nps-drop" in named
