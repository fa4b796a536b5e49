"""Snapshots for the wallboard, as a stream sends them."""

import math
from typing import Any

NOW = 1_795_255_205_000
"""2026-11-21 10:00:05 UTC, in Madrid 11:00:05."""
_MINUTE = 60_000


def tile(metric: str, value: float | None, state: str, **more: Any) -> dict[str, Any]:
    """A tile of `all` and the last hour."""
    made = {
        "metric": metric, "stat": "", "unit": "points", "better": "higher", "window": "1h", "by": "all",
        "key": "", "value": value, "lower": None, "upper": None, "support": 0, "least_support": None,
        "currency": None, "target": None, "state": state, "trend": "unknown", "trend_is_good": None,
        "last_week": None, "history": [], "label": "",
    } | more  # fmt: skip
    made["id"] = "/".join(str(made[name]) for name in ("by", "key", "metric", "stat", "window"))
    return made


def history(around: float, swing: float, *, gap: bool = False) -> list[list[float | None]]:
    """Four hours, every four minutes."""
    points: list[list[float | None]] = []
    for place in range(60):
        wave = math.sin(place / 7) + 0.4 * math.sin(place * 1.7) + 0.2 * math.sin(place * 4.1)
        value = None if gap and 20 <= place < 26 else round(around + swing * wave, 4)
        points.append([NOW - (59 - place) * 4 * _MINUTE, value])
    return points


def tiles(**more: Any) -> list[dict[str, Any]]:
    """One of each state."""
    return [
        tile(
            "nps_score", 74.1, "met", lower=64.2, upper=81.4, support=112, least_support=20, target=30,
            trend="up", trend_is_good=True,
            last_week={"value": 52.3, "lower": 41, "upper": 62, "support": 98}, history=history(66, 7),
            **more,
        ),
        tile(
            "csat_ratio", 0.7214, "missed", unit="ratio", lower=0.662, upper=0.774, support=244,
            least_support=20, target=0.8, trend="down", trend_is_good=False,
            last_week={"value": 0.861, "lower": 0.81, "upper": 0.9, "support": 230},
            history=history(0.77, 0.04, gap=True), **more,
        ),
        tile(
            "service_level_ratio", 0.8104, "unclear", stat="own", unit="ratio", lower=0.778, upper=0.839,
            support=631, least_support=20, target=0.8, trend="same", history=history(0.81, 0.03), **more,
        ),
        tile(
            "fcr_survey_ratio", None, "few", unit="ratio", support=4, least_support=20, target=0.7,
            history=history(0.7, 0.1, gap=True), **more,
        ),
        tile("qa_score", None, "no_data", target=85, least_support=20, **more),
        tile(
            "handle_time_seconds", 401.7, "no_target", stat="mean", unit="seconds", better="lower",
            lower=391.2, upper=412.3, support=1204, least_support=20, trend="down", trend_is_good=True,
            last_week={"value": 455, "lower": 430, "upper": 480, "support": 1100},
            history=history(410, 18), **more,
        ),
    ]  # fmt: skip


def live_tile(metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    """A tile of what is going on now; `since`, `near_at` and `late_at` in seconds before NOW."""
    times = {
        name: more.pop(name, None) for name in ("since", "near_at", "late_at")
    }  # fmt: skip
    at = {name: None if ago_s is None else NOW - round(1000 * ago_s) for name, ago_s in times.items()}
    return tile(metric, value, "no_target", **{"unit": "count", "window": "now", "note": None} | at | more)


def live_tiles() -> list[dict[str, Any]]:
    """Seven wait, the longest for 42 s in Billing, which is too long; two agents are available."""
    over = {"kind": "over", "text": "", "count": 2}
    return [
        live_tile("waiting", 7, near_at=27, late_at=22, note=over),
        live_tile(
            "longest_wait_seconds", 42, unit="seconds", since=42, near_at=27, late_at=22,
            note={"kind": "where", "text": "Billing & payments", "count": None},
        ),
        live_tile("agents_available", 2, note={"kind": "signed_in", "text": "", "count": 24}),
    ]  # fmt: skip


def queue_row(name: str, waiting: int | None, available: int | None, **more: Any) -> dict[str, Any]:
    """A row of the tile of the queues; the times as of `live_tile`."""
    ago = {key: more.pop(key, None) for key in ("since", "near_at", "late_at")}
    level = {"value": 0.84, "lower": 0.8, "upper": 0.88, "support": 312, "state": "met"}
    made = {"key": name.lower(), "name": name, "waiting": waiting, "available": available}
    made |= {"service_level": level, "abandoned": 12} | more
    return made | {key: None if s is None else NOW - round(1000 * s) for key, s in ago.items()}


def queue_table(*rows: dict[str, Any], more: int = 0) -> dict[str, Any]:
    return {"id": "all//queue_table", "metric": "queue_table", "window": "now", "rows": rows, "more": more}


def agent_states(**counts: int | None) -> dict[str, Any]:
    states = dict.fromkeys(("available", "busy", "wrap_up", "away", "unknown")) | counts
    known = [count for count in states.values() if count is not None]
    reasons = [["lunch", 4], ["training", 2], ["unknown", 1]] if known else []
    signed_in = sum(known) if known else None
    return {
        "id": "all//agent_states", "metric": "agent_states", "window": "now", "counts": states,
        "signed_in": signed_in, "reasons": reasons,
    }  # fmt: skip


def page(name: str = "", key: str = "", shown: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    by = "queue" if key else "all"
    shown = tiles(by=by, key=key) if shown is None else shown
    return {"by": by, "key": key, "name": name, "tiles": shown}


def snapshot(**more: Any) -> dict[str, Any]:
    """A snapshot."""
    return {
        "version": "1", "view": "default", "title": "", "timezone": "Europe/Madrid", "now": NOW,
        "data_age_s": 0.2, "rotate_s": None, "pages": [page()], "alerts": [],
    } | more  # fmt: skip


def heartbeat(**more: Any) -> dict[str, Any]:
    return {"now": NOW, "data_age_s": 0.1, "version": "1"} | more


def change(*changed: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"now": NOW, "data_age_s": 0.1, "tiles": list(changed), "alerts": []} | more


def alert(
    kind: str = "behind", text: str = "Billing waits for 12,000 events.", **more: Any
) -> dict[str, Any]:
    return {"id": kind, "severity": "warning", "kind": kind, "text": text, "since": NOW - 5 * _MINUTE} | more
