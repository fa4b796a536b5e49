"""Quix Streams: a state per customer and one tumbling window of an hour, both with changelogs; no groupings.

Run by `tests.benchmarks.peers.run`: ADDRESS TOPIC RECORDS; prints one JSON object.
"""

import json
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

from quixstreams import Application, State

FIRST: list[tuple[float, float]] = []


def seen(call: dict[str, Any], state: State) -> dict[str, Any]:
    if not FIRST:
        FIRST.append((time.monotonic(), time.process_time()))
    state.set("calls", state.get("calls", 0) + 1)
    state.set("last", call["ended_at"])
    return call


def begin(call: dict[str, Any]) -> dict[str, float]:
    return add({"calls": 0, "handle_s": 0.0}, call)


def add(sums: dict[str, float], call: dict[str, Any]) -> dict[str, float]:
    handled = (call.get("talk_s") or 0) + (call.get("hold_s") or 0) + (call.get("acw_s") or 0)
    return {"calls": sums["calls"] + 1, "handle_s": sums["handle_s"] + handled}


def main(address: str, topic: str, records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            address,
            consumer_group="peer-quix",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="ERROR",
        )
        frame = app.dataframe(app.topic(topic, value_deserializer="json"))
        frame = frame.apply(seen, stateful=True)
        frame = frame.tumbling_window(timedelta(hours=1), grace_ms=0).reduce(add, begin).current()
        app.run(frame, count=records, timeout=120, collect=False)
        ((at, cpu_s),) = FIRST
        print(json.dumps({"seconds": time.monotonic() - at, "cpu_s": time.process_time() - cpu_s}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
