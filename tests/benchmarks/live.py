"""What is live: bytes in Redis per contact under way and per agent, and CPU per state beside a call's.

Run as `python -m tests.benchmarks.live`. All in one run and one process. Bytes are those that Redis gives for
documents and for the index; agents' time by the hour is given apart, since it is counted and not live. An
agent's documents grow by a day's states, which may still be corrected.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.counting_rules import HOUR, MINUTE, SECOND, CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.events.models import AgentState, ContactState, Event
from streamer.panes.pane_keys import LIVE_AGENTS, LIVE_CONTACTS
from streamer.panes.rollup import MERGE
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.gc_tuning import freeze_startup_objects
from streamer.store.redis import RedisStore
from tests.benchmarks.center import Center, messages
from tests.conftest import PARTS
from tests.counting import partition_processor, processing_context
from tests.messages import record
from tests.parts.redis_server import RedisServer

BATCH = 500
STATES_OF_A_CALL = ("available", "offered", "busy", "wrap_up")


class LiveBench:
    """A center that is counted step by step, each step weighed and timed."""

    def __init__(self, server: RedisServer, store: RedisStore) -> None:
        self._server, self._store = server, store
        self.shared = processing_context(store, CountingRules(), wall_clock_ms())

    async def count(self, topic: str, records: Sequence[KafkaRecord]) -> float:
        """Count records of a topic; return the CPU of this process in µs per record."""
        processor = await partition_processor(self.shared, topic, 0)
        began = time.process_time()
        for first in range(0, len(records), BATCH):
            batch = [
                one._replace(offset=processor.position.next + number)
                for number, one in enumerate(records[first : first + BATCH])
            ]
            await processor.count(batch, batch[-1].offset + 1)
            await self.shared.compact(64)
        return (time.process_time() - began) / len(records) * 1e6

    async def weigh(self) -> Mapping[str, int]:
        """Return the bytes of all keys by the letter of their kind, after the index was merged."""
        for place in (LIVE_CONTACTS, LIVE_AGENTS):
            for _ in range(3):
                await self._store.compact(place, MERGE["live"])
        sizes: dict[str, int] = {}
        async with self._server.client() as client:
            async for key in client.scan_iter(self._store.prefix + b"*", count=1_000):
                letter = key[len(self._store.prefix) :].split(b":")[0].decode()
                sizes[letter] = sizes.get(letter, 0) + await client.memory_usage(key, samples=0)
        return sizes


def contacts_under_way(number: int, now_ms: int) -> Iterable[Event]:
    """Yield two states of each: it waits, and is offered to an agent."""
    for index in range(number):
        fields: dict[str, Any] = {
            "source": "/pbx",
            "contact_id": f"1764520000.{index}",
            "queue": f"queue-{index % 200}",
            "channel": "voice",
            "language": "en",
            "priority": 1,
        }
        at = now_ms - index * SECOND
        yield ContactState(**fields, state="queued", at=at)
        yield ContactState(
            **fields,
            state="offered",
            at=at + SECOND // 2,
            agent_id=f"agent-{index}",
            team="red",
            site="north",
        )


def shifts(number: int, calls: int, start_ms: int) -> Iterable[Event]:
    """Yield the states of agents, each signed in and then in so many calls, in the order of their times."""
    for index in range(number):
        yield AgentState(
            source="/pbx",
            agent_id=f"agent-{index}",
            state="available",
            at=start_ms + index,
            queues=(f"queue-{index % 200}", f"queue-{(index + 7) % 200}"),
            team=f"team-{index % 40}",
            site="north",
            channels=("voice",),
        )
    for call in range(calls):
        for step, state in enumerate(STATES_OF_A_CALL):
            for index in range(number):
                yield AgentState(
                    source="/pbx",
                    agent_id=f"agent-{index}",
                    state=state,
                    at=start_ms + (call + 1) * 5 * MINUTE + step * MINUTE + index,
                    contact_id=None if state == "available" else f"1764520000.{call:03}{index:05}",
                )


def as_records(events: Iterable[Event]) -> list[KafkaRecord]:
    return [record(event, 0, number, event.time) for number, event in enumerate(events)]


async def measure(parts: str, agents: int, contacts: int, calls: int) -> dict[str, Any]:
    now_ms = wall_clock_ms()
    sent = messages(Center(calls=20_000), now_ms)
    call_records = [
        KafkaRecord(one.topic, 0, number, one.at_ms, one.key, one.value, ())
        for number, one in enumerate(sent)
    ]
    async with PARTS[parts].store(aof=False) as server:
        store = await RedisStore.connect(server.url, "live")
        bench = LiveBench(server, store)
        contact_records = as_records(contacts_under_way(contacts, now_ms - HOUR))
        # the first states of a day, then a day's calls, then one call more: the costs of a long history
        start_ms = now_ms - 12 * HOUR
        shift_records = as_records(shifts(agents, calls + 1, start_ms))
        signed_in, day, last_call = (
            shift_records[:agents],
            shift_records[agents : -4 * agents],
            shift_records[-4 * agents :],
        )
        freeze_startup_objects()
        empty = await bench.weigh()
        cpu = {"contact state": await bench.count("contact-state", contact_records)}
        with_contacts = await bench.weigh()
        cpu["agent state, first"] = await bench.count("agent-state", signed_in)
        with_agents = await bench.weigh()
        cpu["agent state, first half of a day"] = await bench.count("agent-state", day)
        with_day = await bench.weigh()
        cpu["agent state, after a day"] = await bench.count("agent-state", last_call)
        cpu["call"] = await bench.count("call-completed", call_records)
        await store.close()

    def grown(before: Mapping[str, int], after: Mapping[str, int], letter: str, by: int) -> float:
        return round((after.get(letter, 0) - before.get(letter, 0)) / by, 1)

    return {
        "cpu_us": {name: round(us, 1) for name, us in cpu.items()},
        "cpu_of_a_call": {name: round(us / cpu["call"], 2) for name, us in cpu.items()},
        "bytes_per_contact": {
            "document": grown(empty, with_contacts, "d", contacts),
            "index": grown(empty, with_contacts, "n", contacts),
        },
        "bytes_per_agent": {
            "document": grown(with_contacts, with_agents, "d", agents),
            "index": grown(with_contacts, with_agents, "n", agents),
        },
        "bytes_per_state_of_24_h": grown(with_agents, with_day, "d", len(day)),
        "bytes_per_state_in_agents_time": grown(with_agents, with_day, "t", len(day)),
        "states_per_agent": 4 * calls,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.live", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default="embedded", help="whose store")
    parser.add_argument("--agents", type=int, default=2_000)
    parser.add_argument("--contacts", type=int, default=500)
    parser.add_argument("--calls", type=int, default=25, help="of an agent on the day, four states each")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.parts, given.agents, given.contacts, given.calls))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
