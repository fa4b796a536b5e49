"""A day of Asterisk's manager events: states of calls and agents, against a plain walk through the day."""

import heapq
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.counting_rules import CountingRules
from streamer.events.outgoing_records import OutgoingRecord
from streamer.store.memory import MemoryStore
from tests.counting import partition_processor, processing_context
from tests.events.adapters.state_rules import States, difference, state_intervals, states_in_force
from tests.events.adapters.telephone_day import Actor, TelephoneDay
from tests.ingest.memory_ingest import MemoryIngest, logs_of
from tests.live_oracle import AgentSpan
from tests.test_exactness import at_once
from tests.test_live_exactness import read_store_state, stored_agents, stored_contacts, stored_spans

SOURCE = SOURCES["asterisk-ami"]
START_MS = 1_750_000_000_000
QUEUES = ("billing", "sales", "tech")
WRAP_UP_S = {"PJSIP/8001": 20, "PJSIP/8002": 0, "PJSIP/8003": 45}


class Phone:
    """A member of some queues: what Asterisk knows of it."""

    def __init__(self, interface: str, queues: Sequence[str]) -> None:
        self.interface = interface
        self.queues = list(queues)
        self.paused: dict[str, str] = {}
        self.last_call: dict[str, int] = {}
        self.status = 1

    def is_free(self, queue: str) -> bool:
        return queue in self.queues and queue not in self.paused and self.status == 1


class AsteriskDay(TelephoneDay):
    """A day of calls, offers, holds, transfers, pauses and private calls, as Asterisk reports it."""

    def __init__(self, seed: int, calls: int) -> None:
        super().__init__(seed, START_MS)
        self.phones = [
            Phone(f"PJSIP/800{number}", self.random.sample(QUEUES, self.random.randint(1, 3)))
            for number in range(1, 7)
        ]
        self.waiting: dict[tuple[str, str], int] = {}
        for phone in self.phones:
            self.begin(self._shift(phone), self.random.randint(0, 3_600_000))
        for number in range(calls):
            self.begin(self._call(number), self.random.randint(1_000_000, 30_000_000))
        self._restarts = 0
        self.begin(self._restart(), 14_000_000)
        for minute in range(3, 500, 47):
            self.begin(self._snapshot(), minute * 60_000)
        self.run()

    def _event(self, name: str, **headers: Any) -> int:
        return self.report(
            lambda at_ms: (
                {"Event": name, "Timestamp": f"{at_ms / 1000:.6f}"}
                | {header: str(value) for header, value in headers.items() if value is not None}
            )
        )

    def _member(self, name: str, phone: Phone, queue: str, **headers: Any) -> None:
        named = (
            {"Name": "Ann Example", "Location": phone.interface}
            if name == "QueueMember"
            else {"MemberName": "Ann Example", "Interface": phone.interface}
        )
        self._event(
            name,
            Queue=queue,
            **named,
            StateInterface=phone.interface,
            Status=phone.status,
            Paused=int(queue in phone.paused),
            PausedReason=phone.paused.get(queue, headers.pop("PausedReason", "")),
            LastCall=phone.last_call.get(queue, 0),
            Wrapuptime=WRAP_UP_S.get(phone.interface, 0),
            InCall=0,
            **headers,
        )

    def _set_status(self, phone: Phone, status: int) -> None:
        phone.status = status
        for queue in phone.queues:
            self._member("QueueMemberStatus", phone, queue)

    def _shift(self, phone: Phone) -> Actor:
        for queue in phone.queues:
            self._member("QueueMemberAdded", phone, queue)
        for _ in range(self.random.randint(3, 6)):
            yield self.random.randint(1_000_000, 5_000_000)
            if self.random.random() < 0.3 and phone.status == 1:  # a private call
                self._set_status(phone, 2)
                yield self.random.randint(10_000, 300_000)
                self._set_status(phone, 1)
            queues = phone.queues if self.random.random() < 0.6 else self.random.sample(phone.queues, 1)
            for reason in self.random.sample(("lunch", "training", ""), self.random.randint(1, 2)):
                for queue in queues:
                    phone.paused[queue] = reason
                    self._member("QueueMemberPause", phone, queue)
                yield self.random.randint(60_000, 1_000_000)
            for queue in queues:
                phone.paused.pop(queue, None)
                self._member("QueueMemberPause", phone, queue, PausedReason="back")
            if self.random.random() < 0.2:
                self._member("QueueMemberPenalty", phone, queues[0])
        yield 3_000_000
        while phone.queues:
            queue = phone.queues.pop()
            self._member("QueueMemberRemoved", phone, queue)
            yield 5

    def _restart(self) -> Actor:
        self._restarts += 1
        self.waiting.clear()
        self._event("Shutdown", Shutdown="Uncleanly", Restart="True")
        self.now_ms += 60_000
        self._event("FullyBooted", Uptime=20, LastReload=20)
        for phone in self.phones:
            self._set_status(phone, 1)
        yield from ()

    def _snapshot(self) -> Actor:
        for queue in QUEUES:
            self._event("QueueParams", Queue=queue, Calls=3)
        for phone in self.phones:
            for queue in phone.queues:
                self._member("QueueMember", phone, queue)
        for (call, queue), since_ms in self.waiting.items():
            self._event("QueueEntry", Queue=queue, Uniqueid=call, Wait=(self.now_ms - since_ms) // 1000)
        self._event("QueueStatusComplete", EventList="Complete")
        yield from ()

    def _call(self, number: int) -> Actor:
        call = f"{START_MS // 1000}.{number * 10}"
        queue = self.random.choice(QUEUES)
        while True:
            put_through = yield from self._visit(call, queue, number)
            if not put_through:
                return
            queue = self.random.choice([other for other in QUEUES if other != queue])
            yield 300

    def _visit(self, call: str, queue: str, number: int) -> Any:
        ids = {"Queue": queue, "Uniqueid": call, "Linkedid": call}
        self._event("QueueCallerJoin", **ids, CallerIDNum="+34600000001", Position=1, Count=1)
        self.waiting[call, queue] = self.now_ms
        restarts = self._restarts
        for _ in range(8):
            yield self.random.randint(500, 20_000)
            if restarts != self._restarts:
                return False
            if self.random.random() < 0.03:  # lost without a word
                del self.waiting[call, queue]
                return False
            free = [phone for phone in self.phones if phone.is_free(queue)]
            rung = self.random.sample(free, min(len(free), self.random.randint(1, 3)))
            if rung and self.random.random() < 0.9:
                result = yield from self._ring(ids, rung, number)
                if result is not None:
                    return result == "transfer"
            elif self.random.random() < 0.2:
                break
        del self.waiting[call, queue]
        if self.random.random() < 0.3:  # by key: nothing else is said
            self._event("QueueCallerLeave", **ids)
            return self.random.random() < 0.5
        order = ["QueueCallerAbandon", "QueueCallerLeave"]
        for name in order if self.random.random() < 0.5 else order[::-1]:
            self._event(name, **ids, HoldTime=9)
        return self.random.random() < 0.2

    def _ring(self, ids: dict[str, str], rung: Sequence[Phone], number: int) -> Any:
        for phone in rung:
            self._event("AgentCalled", **ids, Interface=phone.interface, MemberName="Ann Example")
            self._set_status(phone, 6)
        restarts = self._restarts
        yield self.random.randint(1_000, 15_000)
        if restarts != self._restarts:
            return "lost"
        key, chance = (ids["Uniqueid"], ids["Queue"]), self.random.random()
        if chance < 0.25:
            for phone in rung:
                self._event("AgentRingNoAnswer", **ids, Interface=phone.interface, RingTime=9000)
                self._set_status(phone, 1)
                if self.random.random() < 0.2:
                    phone.paused[ids["Queue"]] = "Auto-Pause"
                    self._member("QueueMemberPause", phone, ids["Queue"])
            return None
        del self.waiting[key]
        if chance < 0.35:
            self._event("QueueCallerAbandon", **ids, HoldTime=9)
            self._event("QueueCallerLeave", **ids)
            for phone in rung:
                self._set_status(phone, 1)
            return "abandoned"
        agent = rung[0]
        self._set_status(agent, 2)
        for phone in rung[1:]:
            self._set_status(phone, 1)
        self._event("QueueCallerLeave", **ids)
        yield self.random.randint(0, 3_000)
        if restarts != self._restarts:
            return "lost"
        leg = {"DestUniqueid": f"{self.now_ms // 1000}.{number * 10 + 7}", "DestLinkedid": ids["Linkedid"]}
        named = {"Interface": agent.interface, "MemberName": "Ann Example"}
        if self.random.random() < 0.05:
            self._event("AgentDump", **ids, **leg, **named)
            self._set_status(agent, 1)
            return "dumped"
        self._event("AgentConnect", **ids, **leg, **named, HoldTime=5, RingTime=3)
        yield from self._talk(ids, leg, agent)
        if restarts != self._restarts:
            return "lost"
        is_transfer = self.random.random() < 0.2
        if is_transfer:
            self._event(
                "BlindTransfer",
                Result="Success",
                TransfereeUniqueid=ids["Uniqueid"],
                TransfereeLinkedid=ids["Linkedid"],
                Context="inside",
            )
        lost = self.random.random() < 0.3
        self._event(
            "AgentComplete",
            Queue=ids["Queue"],
            Uniqueid=None if lost else ids["Uniqueid"],
            Linkedid=None if lost else ids["Linkedid"],
            **leg,
            **named,
            HoldTime=5,
            TalkTime=60,
            Reason="transfer" if is_transfer else "caller",
        )
        for queue in agent.queues:
            agent.last_call[queue] = self.now_ms // 1000
        self._set_status(agent, 1)
        return "transfer" if is_transfer else "answered"

    def _talk(self, ids: dict[str, str], leg: dict[str, str], agent: Phone) -> Actor:
        restarts = self._restarts
        for _ in range(self.random.choice((0, 0, 1, 2))):
            yield self.random.randint(1_000, 60_000)
            if restarts != self._restarts:
                return
            if self.random.random() < 0.5:
                self._set_status(agent, 8)
            holder = leg["DestUniqueid"] if self.random.random() < 0.7 else ids["Uniqueid"]
            self._event("Hold", Uniqueid=holder, Linkedid=ids["Linkedid"])
            yield self.random.randint(1_000, 60_000)
            if restarts != self._restarts:
                return
            self._event("Unhold", Uniqueid=holder, Linkedid=ids["Linkedid"])
            self._set_status(agent, 2)
        yield self.random.randint(1_000, 300_000)


class PlainWalk:
    """What a person with pencil and paper makes of the events, one after another in the order of time."""

    def __init__(self, events: Sequence[tuple[int, dict[str, str]]]) -> None:
        self.states: States = {}
        self.stays: dict[tuple[str, str], dict[str, Any]] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.legs: dict[str, str] = {}
        self.wrap_ups: list[tuple[int, str]] = []
        self.lists: list[tuple[int, str]] = []
        for at_ms, event in events:
            self._pass_time(at_ms)
            self._take(at_ms, event)
        self._pass_time(2**60)

    def _pass_time(self, until_ms: int) -> None:
        while self.wrap_ups and self.wrap_ups[0][0] < until_ms:
            self._note_agent(*heapq.heappop(self.wrap_ups))
        while self.lists and self.lists[0][0] < until_ms:
            at_ms, queue = heapq.heappop(self.lists)
            for key, stay in self.stays.items():
                is_waiting = stay["state"] in ("queued", "offered")
                if key[1] == queue and is_waiting and stay["seen"] < at_ms - 11_000:
                    stay |= {"state": "ended", "agent": None}
                    self._note_stay(at_ms, key)

    def _restart(self, at_ms: int) -> None:
        for key, stay in self.stays.items():
            if stay["state"] != "ended":
                talked = stay["state"] in ("connected", "held")
                stay |= {"state": "ended", "agent": stay["agent"] if talked else None}
                self._note_stay(at_ms, key)
        for agent_id, agent in self.agents.items():
            agent["contacts"] = {}
            self._note_agent(at_ms, agent_id)

    def _take(self, at_ms: int, event: dict[str, str]) -> None:
        name = event["Event"]
        if name == "Shutdown":
            self._restart(at_ms)
        elif name == "FullyBooted":
            self._restart(at_ms - int(event["Uptime"]) * 1000)
        elif name == "QueueParams":
            heapq.heappush(self.lists, (at_ms + 10_000, event["Queue"]))
        elif name.startswith("QueueMember"):
            self._member(at_ms, name, event)
        elif name in ("Hold", "Unhold"):
            self._hold(at_ms, name, event)
        elif name.startswith(("QueueCaller", "QueueEntry", "Agent")):
            self._call(at_ms, name, event)
        if name == "QueueCallerJoin":
            for key, stay in self.stays.items():
                if key[0] == event["Uniqueid"] and key[1] != event["Queue"] and stay["left"]:
                    if stay["state"] == "offered":
                        stay |= {"state": "ended", "agent": None}
                    self._note_stay(at_ms, key)

    def _call(self, at_ms: int, name: str, event: dict[str, str]) -> None:
        call = event.get("Uniqueid") or self.legs[event["DestUniqueid"]]
        key, agent_id = (call, event["Queue"]), event.get("Interface")
        stay = self.stays.setdefault(
            key,
            {
                "visit": 1,
                "state": None,
                "rung": [],
                "agent": None,
                "since": None,
                "left": False,
                "over": False,
            },
        )
        match name:
            case "QueueCallerJoin":
                visit = stay["visit"] + stay["over"]
                stay |= {
                    "visit": visit,
                    "state": "queued",
                    "rung": [],
                    "agent": None,
                    "since": at_ms,
                    "left": False,
                    "over": False,
                }
            case "AgentCalled":
                stay["rung"] = [rung for rung in stay["rung"] if rung != agent_id] + [agent_id]
                stay |= {"state": "offered", "agent": agent_id}
            case "AgentRingNoAnswer":
                stay["rung"].remove(agent_id)
                stay |= {
                    "state": "offered" if stay["rung"] else "queued",
                    "agent": stay["rung"][-1] if stay["rung"] else None,
                }
            case "QueueCallerLeave":
                stay["left"] = True
                if stay["state"] == "queued":
                    stay["state"] = "ended"
            case "QueueCallerAbandon" | "AgentComplete":
                talked = stay["state"] in ("connected", "held", "ended")
                stay |= {"state": "ended", "over": True, "agent": stay["agent"] if talked else None}
            case "AgentDump":
                stay |= {"state": "ended", "agent": None}
            case "AgentConnect":
                self.legs[event["DestUniqueid"]] = call
                stay |= {"state": "connected", "agent": agent_id}
        stay["seen"] = at_ms
        self._note_stay(at_ms, key)
        if agent_id is not None:
            agent = self._agent(agent_id)
            states = {"AgentCalled": "offered", "AgentConnect": "busy"}
            agent["contacts"].pop(call, None)
            if name in states:
                agent["contacts"][call] = states[name]
            if name == "AgentCalled":
                agent["queues"].setdefault(event["Queue"], {"paused": None, "until": 0, "at": at_ms})
            self._note_agent(at_ms, agent_id)

    def _hold(self, at_ms: int, name: str, event: dict[str, str]) -> None:
        if (call := self.legs.get(event["Uniqueid"])) is not None:
            (key,) = [
                key
                for key, stay in self.stays.items()
                if key[0] == call and not stay["over"] and stay["state"] in ("connected", "held")
            ]
            self.stays[key]["state"] = "held" if name == "Hold" else "connected"
            self._note_stay(at_ms, key)

    def _agent(self, agent_id: str) -> dict[str, Any]:
        return self.agents.setdefault(agent_id, {"queues": {}, "phone": 0, "contacts": {}})

    def _member(self, at_ms: int, name: str, event: dict[str, str]) -> None:
        agent_id = event.get("Interface") or event["Location"]
        agent, until_ms = self._agent(agent_id), 0
        if int(event["LastCall"]) and int(event["Wrapuptime"]):
            until_ms = (int(event["LastCall"]) + int(event["Wrapuptime"])) * 1000
        if name == "QueueMemberRemoved":
            agent["queues"].pop(event["Queue"], None)
        else:
            paused = event["PausedReason"] if event["Paused"] == "1" else None
            agent["queues"][event["Queue"]] = {"paused": paused, "until": until_ms, "at": at_ms}
        agent["phone"] = int(event["Status"])
        if agent["phone"] != 6:
            agent["contacts"] = {c: s for c, s in agent["contacts"].items() if s != "offered"}
        if agent["phone"] == 1:
            agent["contacts"] = {}
        if until_ms > at_ms:
            heapq.heappush(self.wrap_ups, (until_ms, agent_id))
        self._note_agent(at_ms, agent_id)

    def _note_stay(self, at_ms: int, key: tuple[str, str]) -> None:
        call, queue = key
        stay = self.stays[key]
        segment = f"{call}/{queue}/{stay['visit']}"
        values = {
            "contact_id": call,
            "segment_id": segment,
            "at": at_ms / 1000,
            "state": stay["state"],
            "queue": queue,
            "agent_id": stay["agent"],
            "queued_at": stay["since"] / 1000,
        }
        self.states["contact-state", segment, at_ms / 1000] = _known(values)

    def _note_agent(self, at_ms: int, agent_id: str) -> None:
        agent = self.agents[agent_id]
        queues, reason = agent["queues"], None
        unpaused = sorted(queue for queue, place in queues.items() if place["paused"] is None)
        contact = next(
            (c for state in ("busy", "offered") for c, s in agent["contacts"].items() if s == state), None
        )
        if contact and agent["contacts"][contact] == "busy":
            state = "held" if agent["phone"] == 8 else "busy"
        elif not queues:
            state = "offline"
        elif agent["phone"] in (2, 8):
            state = "busy" if agent["phone"] == 2 else "held"
        elif agent["phone"] == 6 or contact:
            state = "offered"
        elif any(queues[queue]["until"] <= at_ms for queue in unpaused):
            state = "available"
        elif unpaused:
            state = "wrap_up"
        else:
            state = "away"
            reason = max(queues.values(), key=lambda place: place["at"])["paused"] or None
        values = {
            "agent_id": agent_id,
            "at": at_ms / 1000,
            "state": state,
            "reason": reason,
            "contact_id": None if state == "offline" else contact,
            "queues": unpaused or sorted(queues),
        }
        self.states["agent-state", agent_id, at_ms / 1000] = _known(values)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def published_events(payloads: Sequence[dict[str, Any]], batch: int, at_ms: int) -> list[OutgoingRecord]:
    """Return what a process publishes of payloads, in batches, however they come."""
    intake = MemoryIngest(SOURCE)
    for first in range(0, len(payloads), batch):
        encoded = [json.dumps(payload).encode() for payload in payloads[first : first + batch]]
        at_once(intake.take(*encoded, at=at_ms))
    assert intake.letters.letters == []
    return intake.published.events


def shuffled(reports: Sequence[tuple[int, dict[str, Any]]], times: int, seed: int) -> list[dict[str, Any]]:
    payloads = [event for _, event in reports] * times
    Random(seed).shuffle(payloads)
    return payloads


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_shuffled_and_tripled_has_the_states_of_a_plain_walk_through_it(seed: int) -> None:
    reports = AsteriskDay(seed, calls=70).reports
    expected = PlainWalk(reports).states
    published = published_events(shuffled(reports, 3, seed), 500, reports[-1][0])
    found = states_in_force((event.topic, json.loads(event.value)) for event in published)
    assert difference(found, expected) == []
    assert state_intervals(found) == state_intervals(expected)


@pytest.mark.parametrize("share", [0.3, 0.6, 1])
async def test_who_entered_has_left_or_is_under_way_and_agents_spent_their_time_as_in_the_walk(
    share: float,
) -> None:
    whole_day = AsteriskDay(3, calls=40).reports
    reports = whole_day[: round(share * len(whole_day))]
    walk = PlainWalk(reports)
    logs = logs_of(published_events(shuffled(reports, 2, 3), 500, reports[-1][0]))
    store, rules = MemoryStore(), CountingRules()
    shared = processing_context(store, rules, reports[-1][0] + 60_000)
    for topic, log in logs.items():
        await (await partition_processor(shared, topic, 0)).count(log, len(log))
    state = await read_store_state(store)
    last_states = {
        moment[:2]: data for moment, data in sorted(walk.states.items(), key=lambda one: one[0][2])
    }
    waiting = {
        name: data["state"]
        for (topic, name), data in last_states.items()
        if topic == "contact-state" and data["state"] != "ended"
    }
    contacts = {name: entry["state"] for (_, name), entry in stored_contacts(state).items()}
    assert contacts == waiting
    agents = {name: entry["state"] for name, entry in stored_agents(state).items()}
    assert agents == {
        name: data["state"]
        for (topic, name), data in last_states.items()
        if topic == "agent-state" and data["state"] != "offline"
    }
    assert time_in_states(stored_spans(state)) == walked_time(walk.states)


def time_in_states(spans: Sequence[AgentSpan]) -> dict[tuple[str, str], int]:
    """Return the ms of each agent in each state."""
    times: dict[tuple[str, str], int] = {}
    for span in spans:
        if span.end > span.start:
            name = span.agent_id, span.state
            times[name] = times.get(name, 0) + span.end - span.start
    return times


def walked_time(states: States) -> dict[tuple[str, str], int]:
    """Return the ms of each agent in each state but offline, up to the agent's last state, which is open."""
    times: dict[tuple[str, str], int] = {}
    for (topic, agent_id), intervals in state_intervals(states).items():
        if topic == "agent-state":
            last_at = max(at for name, one, at in states if (name, one) == (topic, agent_id))
            ends = [at for at, _ in intervals[1:]] + [last_at]
            for (at, state), end in zip(intervals, ends, strict=True):
                if state != "offline" and end > at:
                    name = agent_id, state
                    times[name] = times.get(name, 0) + round(end * 1000) - round(at * 1000)
    return times
