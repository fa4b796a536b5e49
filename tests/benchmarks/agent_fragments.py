"""CPU and bytes written for one more fragment of an agent, late in a busy day, as `streamer ingest` keeps it.

`python -m tests.benchmarks.agent_fragments` assembles a seeded day of 1,000 contacts and 6 agents from what
three sources send, and prints the mean over each agent's last hundred fragments, one by one.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import is_agent
from streamer.ingest.agent_assembly import EMPTY_AGENT, decode_agent_assembly, encode_agent_assembly
from tests.events.adapters.center_days import center_day
from tests.events.adapters.test_amazon_connect_states import agent_stream
from tests.events.adapters.test_genesys_states import CloudWriter
from tests.events.adapters.test_twilio_states import task_stream

LAST: Final = 100


def agent_fragments(name: str, stream: Sequence[Mapping[str, Any]]) -> dict[str, list[Fragment]]:
    agents: dict[str, list[Fragment]] = {}
    for payload in stream:
        for item in read_payload(SOURCES[name], msgspec.json.encode(payload), {}):
            if isinstance(item, Fragment) and is_agent(item.contact):
                agents.setdefault(item.contact, []).append(item)
    return agents


def measure(name: str, stream: Sequence[Mapping[str, Any]]) -> None:
    took_s, written, measured, counts = 0.0, 0, 0, []
    for fragments in agent_fragments(name, stream).values():
        stored = encode_agent_assembly(EMPTY_AGENT.with_fragments(fragments[:-LAST])[0])
        counts.append(len(fragments))
        for fragment in fragments[-LAST:]:
            began_s = time.process_time()
            assembly, is_new = decode_agent_assembly(stored).with_fragments([fragment])
            if any(is_new):
                stored = encode_agent_assembly(assembly)
                assembly.events(SOURCES[name], {}, fragment.at)
            took_s += time.process_time() - began_s
            written, measured = written + len(stored), measured + 1
    print(
        f"{name}: {max(counts)} fragments a day; {1000 * took_s / measured:.3f} ms CPU and "
        f"{written / measured / 1000:.1f} kB for one more"
    )


if __name__ == "__main__":
    day = center_day(5, contacts=1_000)
    measure("amazon-connect", agent_stream(day))
    measure("genesys-cloud", CloudWriter(day).stream)
    measure("twilio", task_stream(day))
