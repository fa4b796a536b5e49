"""A day of Asterisk's queue_log: states of calls and agents, against a plain walk through the day."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from tests.events.adapters.state_rules import States, difference, state_intervals, states_in_force
from tests.events.adapters.telephone_day import Actor, TelephoneDay
from tests.ingest.memory_ingest import MemoryIngest
from tests.test_exactness import at_once

START_MS = 1_750_000_000_000
QUEUES = ("billing", "sales", "tech")
NAMES = {f"PJSIP/800{number}": f"Agent {number}" for number in range(1, 4)}
"""Names of members by interface; members without one are called as their interface."""
SOURCE = SOURCES["asterisk-queue-log"]
SOURCE = SOURCE._replace(options={**SOURCE.options, "members": NAMES})


class Member:
    """A member of some queues. A static one has no line when it is added."""

    def __init__(self, interface: str, queues: Sequence[str], *, is_static: bool) -> None:
        self.interface, self.name = interface, NAMES.get(interface, interface)
        self.queues = list(queues)
        self.is_static = is_static
        self.is_here = is_static
        self.is_busy = False
        self.paused: set[str] = set()

    def is_free(self, queue: str) -> bool:
        return self.is_here and not self.is_busy and queue in self.queues and queue not in self.paused


class LoggedDay(TelephoneDay):
    """A day of calls, offers, transfers, pauses and logins, as app_queue writes it."""

    def __init__(self, seed: int, calls: int) -> None:
        super().__init__(seed, START_MS)
        self.members = [
            Member(
                f"PJSIP/800{number}",
                self.random.sample(QUEUES, self.random.randint(1, 3)),
                is_static=number == 6,
            )
            for number in range(1, 7)
        ]
        self._line("NONE", "NONE", "NONE", "QUEUESTART")
        for member in self.members:
            self.begin(self._shift(member), self.random.randint(1_000, 3_600_000))
        self.begin(self._pool_login(), 5_000_000)
        self._restarts = 0
        self.begin(self._restart(), 12_000_000)
        for number in range(calls):
            self.begin(self._call(f"{START_MS // 1000}.{number}"), self.random.randint(1_000_000, 30_000_000))
        self.run()

    def _line(self, call: str, queue: str, agent: str, event: str, *details: Any) -> None:
        self.report(lambda at_ms: "|".join(map(str, (at_ms // 1000, call, queue, agent, event, *details))))

    def _shift(self, member: Member) -> Actor:
        if not member.is_static:
            for queue in member.queues:
                self._line(
                    self.random.choice(("MANAGER", "REALTIME", "CLI")), queue, member.interface, "ADDMEMBER"
                )
            member.is_here = True
        for _ in range(self.random.randint(3, 6)):
            yield self.random.randint(1_000_000, 5_000_000)
            queues = member.queues if self.random.random() < 0.6 else self.random.sample(member.queues, 1)
            for reason in self.random.sample(("lunch", "training", ""), self.random.randint(1, 2)):
                yield from self._set_paused(member, queues, "PAUSE", reason)
                yield self.random.randint(60_000, 1_000_000)
            yield from self._set_paused(member, queues, "UNPAUSE", "back")
            self._line("NONE", queues[0], member.interface, "PENALTY", 3)
        yield 3_000_000
        if not member.is_static:
            member.is_here = False
            for queue in member.queues:
                self._line("MANAGER", queue, member.interface, "REMOVEMEMBER")
                yield 1_000

    def _set_paused(self, member: Member, queues: Sequence[str], event: str, reason: str) -> Actor:
        if queues is member.queues:
            self._line("NONE", "NONE", member.name, f"{event}ALL", reason)
        for queue in queues:
            (member.paused.add if event == "PAUSE" else member.paused.discard)(queue)
            self._line("NONE", queue, member.name, event, reason)
        yield 1_000

    def _restart(self) -> Actor:
        self.now_ms += 2_000  # lines have whole seconds: nothing else happens in this one
        self._line("NONE", "NONE", "NONE", "QUEUESTART")
        self.now_ms += 2_000
        self._restarts += 1
        for member in self.members:
            member.is_busy = False
        yield from ()

    def _pool_login(self) -> Actor:
        self._line("1.9", "NONE", "Agent/77", "AGENTLOGIN", "PJSIP/9000-1")
        yield 9_000_000
        self._line("1.9", "NONE", "Agent/77", "AGENTLOGOFF", "PJSIP/9000-1", 9000)

    def _call(self, call: str) -> Actor:
        queue = self.random.choice(QUEUES)
        for _ in range(3):
            put_through = yield from self._visit(call, queue)
            if not put_through:
                return
            queue = self.random.choice(QUEUES)
            yield self.random.choice((0, 2_000))

    def _visit(self, call: str, queue: str) -> Any:
        self._line(call, queue, "NONE", "ENTERQUEUE", "", "+34600000001", 1)
        entered_ms = self.now_ms
        restarts = self._restarts
        for _ in range(6):
            yield self.random.randint(0, 20_000)
            if restarts != self._restarts:
                return False
            free = [member for member in self.members if member.is_free(queue)]
            rung = self.random.sample(free, min(len(free), self.random.randint(1, 2)))
            if not rung:
                continue
            for member in rung:
                member.is_busy = True
            began_ms, restarts = self.now_ms, self._restarts
            yield self.random.randint(0, 15_000)
            if restarts != self._restarts:
                return False
            ring_ms, chance = self.now_ms - began_ms, self.random.random()
            wait_s = (self.now_ms - entered_ms) // 1000
            for member in rung[1:] if chance > 0.35 else rung:
                member.is_busy = False
                if chance < 0.25:
                    self._line(call, queue, member.name, "RINGNOANSWER", ring_ms)
                elif chance < 0.35:
                    self._line(call, queue, member.name, "RINGCANCELED", ring_ms)
            if chance < 0.25:
                continue
            if chance < 0.35:
                self._line(call, queue, "NONE", "ABANDON", 1, 1, wait_s)
                return False
            return (yield from self._talk(call, queue, rung[0], wait_s, ring_ms))
        event = self.random.choice(("ABANDON", "EXITWITHTIMEOUT", "EXITEMPTY", "EXITWITHKEY", "WITHDRAW"))
        self._line(call, queue, "NONE", event, 1, 1, 30, 30)
        return event == "EXITWITHKEY"

    def _talk(self, call: str, queue: str, member: Member, wait_s: int, ring_ms: int) -> Any:
        if self.random.random() < 0.05:
            self._line(call, queue, member.name, "AGENTDUMP")
            member.is_busy = False
            return False
        self._line(call, queue, member.name, "CONNECT", wait_s, f"{call}7", ring_ms // 1000)
        restarts = self._restarts
        yield self.random.choice((200, 40_000, 200_000))
        if restarts != self._restarts:
            return False
        member.is_busy = False
        event = self.random.choice(("COMPLETEAGENT", "COMPLETECALLER", "BLINDTRANSFER"))
        details = (600, "inside", wait_s, 60, 1) if event == "BLINDTRANSFER" else (wait_s, 60, 1)
        self._line(call, queue, member.name, event, *details)
        return event == "BLINDTRANSFER"


class PlainWalk:
    """What a person makes of the lines, in the order of time; ringing is written down where it began."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.states: States = {}
        self.stays: dict[tuple[str, str], dict[str, Any]] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        happenings = []
        for number, line in enumerate(lines):
            time_s, call, queue, agent, event, *details = line.split("|")
            at_ms = int(time_s) * 1000
            happenings.append((at_ms, number, event, call, queue, NAMES.get(agent, agent), details))
            if event == "CONNECT" and int(details[2]):
                began_ms = at_ms - int(details[2]) * 1000
                happenings.append((began_ms, number, "rung", call, queue, NAMES.get(agent, agent), details))
            if event in ("RINGNOANSWER", "RINGCANCELED"):
                began_ms = min(at_ms + 999 - int(details[0]), at_ms - 1)
                happenings.append((began_ms, number, "rung", call, queue, NAMES.get(agent, agent), details))
        for at_ms, _, event, call, queue, agent, details in sorted(happenings, key=lambda one: one[:2]):
            if call not in ("NONE", "MANAGER", "REALTIME", "CLI") and queue != "NONE":
                self._call(at_ms / 1000, event, call, queue, agent)
            if event == "QUEUESTART":
                self._restart(at_ms / 1000)
            elif agent != "NONE":
                self._member(at_ms / 1000, event, call, queue, agent, details)

    def _call(self, at: float, event: str, call: str, queue: str, agent: str) -> None:
        stay = self.stays.setdefault(
            (call, queue),
            {"visit": 1, "over": False, "state": "queued", "rung": [], "agent": None, "since": None},
        )
        match event:
            case "ENTERQUEUE":
                visit = stay["visit"] + stay["over"]
                stay |= {
                    "visit": visit,
                    "over": False,
                    "state": "queued",
                    "rung": [],
                    "agent": None,
                    "since": at,
                }
            case "rung" if stay["state"] in ("queued", "offered"):
                stay["rung"] = sorted([*stay["rung"], (at, agent)])  # at once: in the order of names
            case "RINGNOANSWER" | "RINGCANCELED":
                stay["rung"] = [rung for rung in stay["rung"] if rung[1] != agent]
            case "CONNECT":
                stay |= {"state": "connected", "agent": agent}
            case "rung":
                pass
            case _:
                talked = stay["state"] in ("connected", "ended")
                over = stay["over"] or event not in ("AGENTDUMP", "WITHDRAW")
                stay |= {"state": "ended", "over": over, "agent": stay["agent"] if talked else None}
        if stay["state"] in ("queued", "offered"):
            stay["state"] = "offered" if stay["rung"] else "queued"
            stay["agent"] = stay["rung"][-1][1] if stay["rung"] else None
        self._note_stay(at, call, queue)

    def _restart(self, at: float) -> None:
        for (call, queue), stay in self.stays.items():
            if stay["state"] != "ended":
                stay |= {"agent": stay["agent"] if stay["state"] == "connected" else None, "state": "ended"}
                self._note_stay(at, call, queue)
        for name, agent in self.agents.items():
            agent["calls"] = {}
            self._note_agent(at, name, agent)

    def _note_stay(self, at: float, call: str, queue: str) -> None:
        stay = self.stays[call, queue]
        segment = f"{call}/{queue}/{stay['visit']}"
        values = {
            "contact_id": call,
            "segment_id": segment,
            "at": at,
            "state": stay["state"],
            "queue": queue,
            "agent_id": stay["agent"],
            "queued_at": stay["since"],
        }
        self.states["contact-state", segment, at] = _known(values)

    def _member(
        self, at: float, event: str, call: str, queue: str, name: str, details: Sequence[str]
    ) -> None:
        agent = self.agents.setdefault(name, {"queues": {}, "calls": {}, "login": None})
        match event:
            case "ADDMEMBER":
                agent["queues"][queue] = None
            case "REMOVEMEMBER":
                agent["queues"].pop(queue, None)
            case "PAUSE":
                agent["queues"].pop(queue, None)  # the latest pause is the last one
                agent["queues"][queue] = details[0]
            case "UNPAUSE":
                agent["queues"][queue] = None
            case "AGENTLOGIN" | "AGENTLOGOFF":
                agent["login"] = event == "AGENTLOGIN"
            case "rung" | "CONNECT":
                agent["queues"].setdefault(queue, None)
                agent["calls"][call] = "offered" if event == "rung" else "busy"
            case "AGENTDUMP":
                agent["queues"].setdefault(queue, None)
                agent["calls"].pop(call, None)
            case "PENALTY" | "PAUSEALL" | "UNPAUSEALL":
                return
            case _:
                agent["calls"].pop(call, None)
        self._note_agent(at, name, agent)

    def _note_agent(self, at: float, name: str, agent: dict[str, Any]) -> None:
        queues, calls, reason = agent["queues"], agent["calls"], None
        unpaused = sorted(queue for queue, pause in queues.items() if pause is None)
        contact = min(calls, key=lambda call: calls[call], default=None)
        if contact:
            state = calls[contact]
        elif agent["login"] is False or not (queues or agent["login"]):
            state = "offline"
        elif unpaused or not queues:
            state = "available"
        else:
            state, reason = "away", [*queues.values()][-1] or None
        values = {
            "agent_id": name,
            "at": at,
            "state": state,
            "reason": reason,
            "contact_id": contact,
            "queues": unpaused or sorted(queues) if agent["login"] is None else None,
        }
        self.states["agent-state", name, at] = _known(values)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_shuffled_and_tripled_has_the_states_of_a_plain_walk_through_it(seed: int) -> None:
    reports = LoggedDay(seed, calls=120).reports
    expected = PlainWalk([line for _, line in reports]).states
    payloads = [line.encode() for _, line in reports] * 3
    Random(seed).shuffle(payloads)
    intake = MemoryIngest(SOURCE)
    for first in range(0, len(payloads), 500):
        at_once(intake.take(*payloads[first : first + 500], at=reports[-1][0]))
    assert intake.letters.letters == []
    found = states_in_force((event.topic, json.loads(event.value)) for event in intake.published.events)
    assert difference(found, expected) == []
    assert state_intervals(found) == state_intervals(expected)
