"""A day of mod_callcenter's events: states of callers and agents, against a plain walk through the day."""

import heapq
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
QUEUES = ("billing@default", "sales@default")
WRAP_UP_S = {"1001@default": 15, "1002@default": 40}
TIERS = {"1001@default": ["billing@default"], "1003@default": [*QUEUES]}
SOURCE = SOURCES["freeswitch"]
SOURCE = SOURCE._replace(options={**SOURCE.options, "wrap_up_s": WRAP_UP_S, "tiers": TIERS})


class Agent:
    """An agent: what mod_callcenter's database has of it."""

    def __init__(self, name: str) -> None:
        self.name, self.status, self.state = name, "Logged Out", "Waiting"

    @property
    def is_free(self) -> bool:
        return self.status.startswith("Available") and self.state == "Waiting"


class CallCenterDay(TelephoneDay):
    """A day of callers, offers to one or all, failed bridges, breaks and logins."""

    def __init__(self, seed: int, calls: int) -> None:
        super().__init__(seed, START_MS)
        self._sequence = 0
        self.agents = [Agent(f"100{number}@default") for number in range(1, 7)]
        for agent in self.agents:
            self.begin(self._shift(agent), self.random.randint(0, 3_000_000))
        for number in range(calls):
            self.begin(self._caller(number), self.random.randint(1_000_000, 20_000_000))
        self.run()

    def _event(self, action: str, **headers: Any) -> None:
        self._sequence += 1
        self.report(
            lambda at_ms: {
                "Event-Date-Timestamp": str(at_ms * 1000 + 499),
                "Event-Sequence": str(self._sequence),
                "CC-Action": action,
                **{name.replace("_", "-"): str(value) for name, value in headers.items()},
            }
        )

    def _set_status(self, agent: Agent, status: str) -> None:
        agent.status = status
        self._event("agent-status-change", CC_Agent=agent.name, CC_Agent_Status=status)

    def _set_state(self, agent: Agent, state: str) -> None:
        agent.state = state
        self._event("agent-state-change", CC_Agent=agent.name, CC_Agent_State=state)

    def _shift(self, agent: Agent) -> Actor:
        available = "Available (On Demand)" if agent.name.startswith("1006") else "Available"
        self._set_status(agent, available)
        for _ in range(self.random.randint(2, 5)):
            yield self.random.randint(1_000_000, 4_000_000)
            self._set_status(agent, "On Break")
            yield self.random.randint(60_000, 900_000)
            self._set_status(agent, available)
            if agent.state == "Idle" or self.random.random() < 0.2:
                self._set_state(agent, "Waiting")
            self._event("members-count", CC_Queue=QUEUES[0], CC_Count=2)
        yield 2_000_000
        self._set_status(agent, "Logged Out")
        self._set_status(agent, "Logged Out")

    def _caller(self, number: int) -> Actor:
        ids = {
            "CC_Member_UUID": f"m-{number}",
            "CC_Member_Session_UUID": f"s-{number}",
            "CC_Queue": self.random.choice(QUEUES),
        }
        joined_s = self.now_ms // 1000
        self._event("member-queue-start", **ids)
        while self.random.random() < 0.9:
            yield self.random.randint(1_000, 20_000)
            free = [agent for agent in self.agents if agent.is_free]
            rung = self.random.sample(free, min(len(free), self.random.choice((1, 1, 3))))
            if rung and (yield from self._offer(ids, rung, joined_s)):
                return
        left = {"CC_Member_Joined_Time": joined_s, "CC_Member_Leaving_Time": self.now_ms // 1000}
        self._event("member-queue-end", **ids, **left, CC_Cause="Cancel", CC_Cancel_Reason="BREAK_OUT")
        if self.random.random() < 0.2:
            yield 60_000
            self._event("member-queue-resume", **ids | {"CC_Member_Session_UUID": f"s-{number}b"})
            yield 60_000
            self._event(
                "member-queue-end",
                **ids | {"CC_Member_Session_UUID": f"s-{number}b"},
                **left,
                CC_Cause="Cancel",
                CC_Cancel_Reason="TIMEOUT",
            )

    def _offer(self, ids: dict[str, str], rung: Sequence[Agent], joined_s: int) -> Any:
        for agent in rung:
            self._set_state(agent, "Receiving")
            self._event("agent-offering", **ids, CC_Agent=agent.name)
        yield self.random.randint(2_000, 15_000)
        is_answered = self.random.random() < 0.7
        for agent in rung[1:] if is_answered else rung:
            cause = "LOSE_RACE" if is_answered else "NO_ANSWER"
            self._event("bridge-agent-fail", **ids, CC_Agent=agent.name, CC_Hangup_Cause=cause)
            self._set_state(agent, "Waiting")
        if not is_answered:
            return False
        agent, is_joined = rung[0], self.random.random() < 0.9
        times = {
            "CC_Agent": agent.name,
            "CC_Member_Joined_Time": joined_s,
            "CC_Agent_Answered_Time": self.now_ms // 1000,
        }
        self._event("bridge-agent-start", **ids, **times)
        if is_joined:
            self._set_state(agent, "In a queue call")
            yield self.random.randint(1_000, 300_000)
        ended = {"CC_Bridge_Terminated_Time": self.now_ms // 1000, "CC_Agent_Bridged": str(is_joined).lower()}
        self._event("bridge-agent-end", **ids, **times, **ended)
        if is_joined:
            self._event(
                "member-queue-end",
                **ids,
                **times,
                CC_Cause="Terminated",
                CC_Member_Leaving_Time=self.now_ms // 1000,
            )
        is_on_demand = agent.status == "Available (On Demand)"
        self._set_state(agent, "Idle" if is_on_demand and is_joined else "Waiting")
        return is_joined


class PlainWalk:
    """What a person makes of the events, one after another."""

    def __init__(self, events: Sequence[tuple[int, dict[str, str]]]) -> None:
        self.states: States = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.wrap_ups: list[tuple[int, str, str]] = []
        for at_ms, event in events:
            self._end_wrap_ups(at_ms)
            if event["CC-Action"] == "members-count":
                continue
            if "CC-Member-UUID" in event:
                self._member(at_ms / 1000, event)
            if "CC-Agent" in event and event["CC-Action"] != "member-queue-end":
                self._agent(at_ms, event)
        self._end_wrap_ups(2**60)

    def _end_wrap_ups(self, until_ms: int) -> None:
        while self.wrap_ups and self.wrap_ups[0][0] < until_ms:
            at_ms, name, contact = heapq.heappop(self.wrap_ups)
            self.agents[name]["contacts"].pop(contact, None)
            self._note_agent(at_ms / 1000, name)

    def _member(self, at: float, event: dict[str, str]) -> None:
        member = self.members.setdefault(event["CC-Member-UUID"], {})
        match event["CC-Action"]:
            case "member-queue-start" | "member-queue-resume":
                member |= {"state": "queued", "since": at, "rung": [], "agent": None}
            case "agent-offering":
                member["rung"].append(event["CC-Agent"])
            case "bridge-agent-fail":
                if event["CC-Agent"] in member["rung"]:
                    member["rung"].remove(event["CC-Agent"])
            case "bridge-agent-start":
                member |= {"state": "connected", "agent": event["CC-Agent"], "rung": []}
            case "bridge-agent-end" if event["CC-Agent-Bridged"] == "false":
                member |= {"state": "queued", "agent": None}
            case _:
                talked = member["state"] in ("connected", "ended")
                member |= {"state": "ended", "agent": member["agent"] if talked else None}
        if member["state"] in ("queued", "offered"):
            member["state"] = "offered" if member["rung"] else "queued"
            member["agent"] = member["rung"][-1] if member["rung"] else None
        values = {
            "contact_id": event["CC-Member-Session-UUID"],
            "segment_id": event["CC-Member-UUID"],
            "at": at,
            "state": member["state"],
            "queue": event["CC-Queue"],
            "agent_id": member["agent"],
            "queued_at": member["since"],
        }
        # The second call of who resumes is a contact of its own, whose wait begins anew.
        self.states["contact-state", event["CC-Member-UUID"], at] = _known(values)

    def _agent(self, at_ms: int, event: dict[str, str]) -> None:
        name, contact = event["CC-Agent"], event.get("CC-Member-Session-UUID", "")
        agent = self.agents.setdefault(name, {"status": None, "work": "Waiting", "contacts": {}})
        contacts = agent["contacts"]
        match event["CC-Action"]:
            case "agent-status-change":
                agent["status"] = event["CC-Agent-Status"]
            case "agent-state-change":
                agent["work"] = event["CC-Agent-State"]
                if agent["work"] in ("Waiting", "Idle"):
                    agent["contacts"] = {c: s for c, s in contacts.items() if s == "wrap_up"}
            case "agent-offering":
                contacts[contact] = "offered"
            case "bridge-agent-start":
                contacts[contact] = "busy"
            case "bridge-agent-end" if event["CC-Agent-Bridged"] == "true" and name in WRAP_UP_S:
                contacts[contact] = "wrap_up"
                heapq.heappush(self.wrap_ups, (at_ms + WRAP_UP_S[name] * 1000, name, contact))
            case _:
                contacts.pop(contact, None)
        self._note_agent(at_ms / 1000, name)

    def _note_agent(self, at: float, name: str) -> None:
        agent = self.agents[name]
        contacts, status, work = agent["contacts"], agent["status"], agent["work"]
        latest = [*contacts][::-1]
        contact = min(latest, key=lambda one: contacts[one], default=None)  # busy, offered, wrap_up
        doing, reason = contacts.get(contact), None
        if doing == "busy" or work == "In a queue call":
            state = "busy"
        elif status in ("Logged Out", "On Break"):
            state = "offline" if status == "Logged Out" else "away"
        elif doing == "offered" or work == "Receiving":
            state = "offered"
        elif doing == "wrap_up" or (work == "Idle" and status == "Available (On Demand)"):
            state = "wrap_up"
        elif work == "Idle":
            state, reason = "away", "Idle"
        else:
            state = "available"
        values = {
            "agent_id": name,
            "at": at,
            "state": state,
            "reason": reason,
            "contact_id": contact if doing == state else None,
            "queues": TIERS.get(name),
        }
        self.states["agent-state", name, at] = _known(values)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_shuffled_and_tripled_has_the_states_of_a_plain_walk_through_it(seed: int) -> None:
    reports = CallCenterDay(seed, calls=120).reports
    expected = PlainWalk(reports).states
    payloads = [json.dumps(event).encode() for _, event in reports] * 3
    Random(seed).shuffle(payloads)
    intake = MemoryIngest(SOURCE)
    for first in range(0, len(payloads), 500):
        at_once(intake.take(*payloads[first : first + 500], at=reports[-1][0] + 60_000))
    assert intake.letters.letters == []
    found = states_in_force((event.topic, json.loads(event.value)) for event in intake.published.events)
    assert difference(found, expected) == []
    assert state_intervals(found) == state_intervals(expected)
