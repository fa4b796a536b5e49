"""What the API says of a floor at one moment: queues, contacts that wait, agents and their states."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from tests.browser.snapshots import NOW

LIMITS = {"wrap_up": 300, "away": 1800}
"""Seconds from which on a state is unusually long."""
_CONTACT_METRICS = ("waiting", "longest_wait_seconds", "waiting_over_target", "in_progress")
_AGENT_METRICS = ("signed_in", "available", "busy", "wrap_up", "away", "unknown")


def waiting_contact(queue: str, ago_s: int, **more: Any) -> dict[str, Any]:
    """A contact that began to wait so long ago."""
    made = {
        "contact_id": f"{queue}-{ago_s}", "segment_id": f"{queue}-{ago_s}", "state": "queued",
        "since": rfc3339_ms(NOW - 1000 * ago_s), "waiting_since": rfc3339_ms(NOW - 1000 * ago_s),
        "age_s": ago_s, "queue": queue, "team": None, "site": None, "channel": "voice", "agent_id": None,
        "direction": "inbound", "priority": None, "over_target": ago_s > 20,
    }  # fmt: skip
    return made | more


def rfc3339_ms(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


_numbers = count(1)


def agent_now(state: str, ago_s: int, team: str = "north", **more: Any) -> dict[str, Any]:
    """An agent in a state since so long."""
    made = {
        "agent_id": f"agent-{next(_numbers)}", "state": state, "reason": None,
        "since": rfc3339_ms(NOW - 1000 * ago_s), "heard_at": rfc3339_ms(NOW),
        "queues": ["billing"], "team": team, "site": None, "channels": ["voice"],
        "contact_id": None,
    }  # fmt: skip
    return made | more


def floor_answers(
    queues: Mapping[str, Mapping[str, float | None]], contacts: list[Any], agents: list[Any]
) -> dict[str, Any]:
    """The answers of the API by path, narrowed by queue and team as the query asks."""

    def narrowed(items: list[Any], query: Mapping[str, str]) -> list[Any]:
        queue, team = query.get("queue"), query.get("team")
        return [
            item
            for item in items
            if (not queue or queue in (item.get("queues") or [item.get("queue")]))
            and (not team or item["team"] == team)
            and item["state"] in query.get("state", item["state"]).split(",")
        ]

    def readings(query: Mapping[str, str]) -> list[Any]:
        if query["by"] == "queue":
            wanted = {key: row for key, row in queues.items() if query.get("key", key) == key}
        else:
            wanted = {query.get("key", ""): _total(queues)}
        return [
            {"metric": metric, "key": key, "value": value, "data_age_s": 0.2}
            for key, row in wanted.items()
            for metric, value in row.items()
        ]

    return {
        "readings": readings,
        "waiting": lambda query: narrowed(contacts, query),
        "agents": lambda query: narrowed(agents, query),
        "catalog": [{"metric": "contacts", "by": ["all", "queue", "team", "agent"], "windows": ["1h"]}],
        "names": [{"by": "queue", "key": "billing", "name": "Billing & payments"}],
        "me": {"name": "Ana"},
        "alerts/rules": [],
    }


def queue_now(*contacts: float | None, agents: tuple[int | None, ...]) -> dict[str, float | None]:
    """Readings of a queue, in the order of the API's metrics."""
    agent_metrics = [f"agents_{name}" for name in _AGENT_METRICS]
    return dict(zip((*_CONTACT_METRICS, *agent_metrics), (*contacts, *agents), strict=True))


def _total(queues: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """Every agent serves one queue here, so that queues add up."""
    total: dict[str, float | None] = {}
    for row in queues.values():
        for metric, value in row.items():
            known = [one for one in (total.get(metric), value) if one is not None]
            combine = max if metric == "longest_wait_seconds" else sum
            total[metric] = combine(known) if known else None
    return total
