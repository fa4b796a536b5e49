"""The same center as a plain Faust program, as Faust's documentation would have it: the other side.

An agent per topic, a model, windowed tables in memory. It is kinder to Faust than the task is: one hour's
tumbling windows and counts and sums only, where ours has ten windows, percentiles, corrections,
duplicates, surveys that come first, and first-contact resolution that is taken back.

Run as a Faust worker: it writes a line of JSON every 200 events. BENCH_KAFKA, BENCH_TOPIC and BENCH_EVENTS
(how many there are) say what to read.
"""

import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from tempfile import gettempdir

import faust

EVERY = 200
TOTAL = int(os.environ.get("BENCH_EVENTS", "0"))
GROUPS = ("site", "queue", "team", "agent_id", "channel", "reason", "language")


class Call(faust.Record, serializer="json"):
    contact_id: str
    customer_id: str
    queue: str
    ended_at: float
    outcome: str
    site: str | None = None
    team: str | None = None
    agent_id: str | None = None
    channel: str = "voice"
    direction: str = "inbound"
    reason: str | None = None
    language: str | None = None
    wait_s: float = 0.0
    talk_s: float = 0.0
    hold_s: float = 0.0
    acw_s: float = 0.0
    transfer: str = "none"
    resolved: bool | None = None


app = faust.App(
    "plain-faust",
    broker=f"kafka://{os.environ.get('BENCH_KAFKA', '127.0.0.1:9092')}",
    store="memory://",
    datadir=f"{gettempdir()}/plain-faust",
    web_enabled=False,
    topic_replication_factor=1,
    topic_partitions=int(os.environ.get("BENCH_PARTITIONS", "4")),
    consumer_auto_offset_reset="earliest",
)
calls = app.topic(os.environ.get("BENCH_TOPIC", "plain-calls"), value_type=Call)
groups = app.Table("groups", default=dict, use_partitioner=True).tumbling(
    timedelta(hours=1), expires=timedelta(hours=50)
)
customers = app.Table("customers", default=float)


@app.agent(calls)
async def count(stream: faust.StreamT[Call]) -> None:
    seen, began, cpu = 0, 0.0, 0.0
    async for call in stream:
        seen += 1
        if seen == 1:
            began, cpu = time.perf_counter(), time.process_time()
        _count(call)
        if seen % EVERY == 0 or seen == TOTAL:
            took = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
            # Faust makes log lines of what is printed
            os.write(1, json.dumps({"events": seen - 1, **took}).encode() + b"\n")


def _count(call: Call) -> None:
    answered = call.outcome == "answered"
    handled = call.talk_s + call.hold_s + call.acw_s if answered else 0.0
    repeat = 0.0 < customers[call.customer_id] >= call.ended_at - 7 * 86_400
    customers[call.customer_id] = call.ended_at
    for group in _groups(call):
        known = groups[group].value()
        groups[group] = {
            "offered": known.get("offered", 0) + 1,
            "answered": known.get("answered", 0) + answered,
            "within": known.get("within", 0) + (answered and call.wait_s <= 20.0),
            "handle_s": known.get("handle_s", 0.0) + handled,
            "transfers": known.get("transfers", 0) + (call.transfer != "none"),
            "resolved": known.get("resolved", 0) + bool(call.resolved),
            "repeats": known.get("repeats", 0) + repeat,
        }


def _groups(call: Call) -> Iterator[str]:
    yield "all"
    for name in GROUPS:
        yield f"{name}:{getattr(call, name) or 'unknown'}"


if __name__ == "__main__":
    app.main()
