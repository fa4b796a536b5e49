"""Bytewax: a state per customer and tumbling windows of an hour by eight groupings, in memory, no recovery.

Run by `tests.benchmarks.peers.run`: ADDRESS TOPIC RECORDS; prints one JSON object.
"""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.testing import TestingSink, cluster_main

GROUPINGS = ("", "site", "queue", "team", "agent_id", "channel", "reason", "language")
FIRST: list[tuple[float, float]] = []


def parsed(record: Any) -> tuple[str, dict[str, Any]]:
    if not FIRST:
        FIRST.append((time.monotonic(), time.process_time()))
    call = json.loads(record.value)
    return call["customer_id"], call


def seen(known: dict[str, Any] | None, call: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"calls": (known["calls"] if known else 0) + 1, "last": call["ended_at"]}, call


def grouped(call: tuple[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    _, data = call
    return ((f"{by}={data.get(by, '')}", data) for by in GROUPINGS)


def add(sums: list[float], call: dict[str, Any]) -> list[float]:
    handled = (call.get("talk_s") or 0) + (call.get("hold_s") or 0) + (call.get("acw_s") or 0)
    return [sums[0] + 1, sums[1] + handled]


def main(address: str, topic: str, records: int) -> None:
    flow, out = Dataflow("peer"), list[Any]()
    source = KafkaSource([address], [topic], tail=False)
    calls = op.map("parse", op.input("in", flow, source), parsed)
    calls = op.stateful_map("customer", calls, seen)
    groups = op.flat_map("group", calls, grouped)
    clock = windowing.EventClock(
        lambda call: datetime.fromtimestamp(call["ended_at"], UTC), wait_for_system_duration=timedelta(days=1)
    )
    windower = windowing.TumblingWindower(
        length=timedelta(hours=1), align_to=datetime(2020, 1, 1, tzinfo=UTC)
    )
    folded = windowing.fold_window(
        "fold", groups, clock, windower, lambda: [0.0, 0.0], add, lambda a, b: [a[0] + b[0], a[1] + b[1]]
    )
    op.output("out", folded.down, TestingSink(out))
    cluster_main(flow, [], 0)
    counted = sum(sums[0] for _, (_, sums) in out) / len(GROUPINGS)
    assert counted == records, counted
    ((at, cpu_s),) = FIRST
    print(json.dumps({"seconds": time.monotonic() - at, "cpu_s": time.process_time() - cpu_s}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
