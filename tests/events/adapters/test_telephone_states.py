"""What is easily got wrong with the states that telephone systems report: one small stream each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import RESTART, WAITING_LIST, sweep_fragment
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.ingest import assembly
from streamer.ingest.assembly import ContactAssembly
from streamer.ingest.source_roll import MAX_LISTS, SourceRoll
from tests.events.adapters.published_events import latest_data, published_states
from tests.events.adapters.state_rules import states_in_force
from tests.ingest.memory_ingest import MemoryIngest
from tests.test_exactness import at_once

AMI, QUEUE_LOG, FREESWITCH = SOURCES["asterisk-ami"], SOURCES["asterisk-queue-log"], SOURCES["freeswitch"]
T = 1_750_000_000
CALL = {"Uniqueid": f"{T}.1", "Linkedid": f"{T}.1", "Queue": "billing"}
ANN = {"Interface": "PJSIP/8001", "MemberName": "Ann Example"}
LEG = {"DestUniqueid": f"{T}.7", "DestLinkedid": f"{T}.1"}


def ami(name: str, second: float, **headers: Any) -> str:
    return json.dumps({"Event": name, "Timestamp": f"{T + second:.6f}", **headers})


def member(second: float, queue: str = "billing", **headers: Any) -> str:
    known = {"Status": "1", "Paused": "0", "PausedReason": "", "LastCall": "0", "Wrapuptime": "0"}
    return ami("QueueMemberStatus", second, Queue=queue, **{**known, **ANN, **headers})


def last_state(source: Any, payloads: Sequence[str], topic: str, **options: Any) -> Mapping[str, Any]:
    """Return the latest state that is told of the only contact, or agent, of the payloads."""
    events = published_states(source, payloads, options)
    states = states_in_force((event.topic, event.data) for event in events if event.topic == topic)
    assert len({moment[1] for moment in states}) == 1
    return states[max(states)]


def agent(source: Any, *payloads: str, **options: Any) -> Mapping[str, Any]:
    return last_state(source, payloads, "agent-state", **options)


def contact(source: Any, *payloads: str, **options: Any) -> Mapping[str, Any]:
    return last_state(source, payloads, "contact-state", **options)


# Asterisk's manager events.


def test_away_is_who_is_paused_in_all_queues_with_the_reason_of_the_latest() -> None:
    joined = [member(0, "billing"), member(0.001, "sales")]
    lunch = member(10, "billing", Paused="1", PausedReason="lunch")
    found = agent(AMI, *joined, lunch)
    assert (found["state"], found["queues"]) == ("available", ["sales"])
    found = agent(AMI, *joined, lunch, member(20, "sales", Paused="1", PausedReason="training"))
    assert (found["state"], found["reason"], found["queues"]) == ("away", "training", ["billing", "sales"])


def test_the_reason_given_when_a_pause_ends_is_not_why_the_agent_is_away() -> None:
    found = agent(AMI, member(0, Paused="1", PausedReason="lunch"), member(60, PausedReason="back"))
    assert found["state"] == "available"
    assert "reason" not in found


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *enumerate(
            ["available", "available", "busy", "busy", "offline", "offline", "offered", "busy", "held"],
        )
    ],
)
def test_the_status_of_the_phone_is_the_agents_without_a_contact(status: int, state: str) -> None:
    assert agent(AMI, member(0, Status=str(status)))["state"] == state


def test_the_phone_of_a_local_member_is_not_known_unless_it_is_named() -> None:
    local = {"Interface": "Local/8001@agents", "Status": "2"}
    assert agent(AMI, member(0, **local))["state"] == "available"
    assert agent(AMI, member(0, **local, StateInterface="PJSIP/8001"))["state"] == "busy"


def test_who_is_removed_from_the_last_queue_is_offline() -> None:
    removed = json.loads(member(9)) | {"Event": "QueueMemberRemoved"}
    found = agent(AMI, member(0), json.dumps(removed))
    assert (found["state"], found["queues"]) == ("offline", [])


def test_wrap_up_ends_at_last_call_and_wrap_up_time_of_the_member_else_of_the_queue() -> None:
    ended = member(0.5, LastCall=str(T), Wrapuptime="20")
    events = published_states(AMI, [ended], {})
    assert [(event.data["state"], event.data["at"]) for event in events][-2:] == [
        ("wrap_up", T + 0.5),
        ("available", T + 20),
    ]
    of_queue = agent(AMI, member(0.5, LastCall=str(T)), wrap_up_s={"billing": 10})
    assert (of_queue["state"], of_queue["at"]) == ("available", T + 10)
    assert agent(AMI, member(0.5, LastCall=str(T)), wrap_up_s={"sales": 10})["at"] == T + 0.5
    assert agent(AMI, member(0.5, LastCall=str(T), Wrapuptime="7200"))["state"] == "available"


@pytest.mark.parametrize(("wrap_up_ms", "letters"), [(55 * MINUTE, 0), (2 * HOUR, 0)])
def test_the_end_of_wrap_up_lies_ahead_and_is_no_dead_letter(wrap_up_ms: int, letters: int) -> None:
    intake = MemoryIngest(AMI)
    ended = member(0.5, LastCall=str(T), Wrapuptime=str(wrap_up_ms // 1000 - 1))
    at_once(intake.take(ended.encode(), at=T * 1000 + 500))
    assert len(intake.letters.letters) == letters
    assert len(intake.published.events) == (2 if wrap_up_ms <= HOUR else 1)


def test_leaving_the_queue_is_the_end_if_nobody_was_rung_and_not_before_an_agent_connects() -> None:
    joined, left = ami("QueueCallerJoin", 0, **CALL), ami("QueueCallerLeave", 12, **CALL)
    rung = ami("AgentCalled", 9, **CALL, **ANN)
    assert contact(AMI, joined, left)["state"] == "ended"
    assert contact(AMI, joined, rung, left)["state"] == "offered"
    found = contact(AMI, joined, rung, left, ami("AgentConnect", 14, **CALL, **ANN, **LEG))
    assert (found["state"], found["agent_id"], found["queued_at"]) == ("connected", "PJSIP/8001", T)


def test_an_end_without_the_callers_channel_is_found_by_the_agents_leg() -> None:
    joined, connected = ami("QueueCallerJoin", 0, **CALL), ami("AgentConnect", 14, **CALL, **ANN, **LEG)
    ended = ami("AgentComplete", 60, Queue="billing", **ANN, **LEG, HoldTime="14", TalkTime="46")
    (found,) = latest_data(AMI, [joined, connected, ended], {})
    assert (found["segment_id"], found["outcome"], found["talk_s"]) == (f"{T}.1/billing/1", "answered", 46)
    assert contact(AMI, joined, connected, ended)["segment_id"] == found["segment_id"]


def test_only_a_hold_on_the_agents_leg_is_one() -> None:
    joined, connected = ami("QueueCallerJoin", 0, **CALL), ami("AgentConnect", 14, **CALL, **ANN, **LEG)
    by_agent = ami("Hold", 20, Uniqueid=LEG["DestUniqueid"], Linkedid=CALL["Linkedid"])
    by_caller = ami("Hold", 20, Uniqueid=CALL["Uniqueid"], Linkedid=CALL["Linkedid"])
    assert contact(AMI, joined, connected, by_agent)["state"] == "held"
    assert contact(AMI, joined, connected, by_caller)["state"] == "connected"


def test_a_waiting_caller_in_a_snapshot_waits_since_before_it() -> None:
    found = contact(AMI, ami("QueueEntry", 100, Queue="billing", Uniqueid=f"{T}.1", Wait="40"))
    assert (found["state"], found["at"], found["queued_at"]) == ("queued", T + 100, T + 60)


def test_states_carry_how_often_the_bridge_takes_snapshots() -> None:
    assert agent(AMI, member(0), heart_beat_s=60)["heart_beat_s"] == 60
    assert "heart_beat_s" not in agent(AMI, member(0))


def test_states_name_the_stay_that_the_call_will_name() -> None:
    again = [ami("QueueCallerJoin", 40, **CALL), ami("QueueCallerAbandon", 50, **CALL)]
    stream = [ami("QueueCallerJoin", 0, **CALL), ami("QueueCallerAbandon", 30, **CALL), *again]
    calls = {data["segment_id"] for data in latest_data(AMI, stream, {})}
    for order in (stream, stream[::-1]):
        events = published_states(AMI, order, {})
        states = states_in_force((event.topic, event.data) for event in events)
        assert {moment[1] for moment in states} == calls == {f"{T}.1/billing/1", f"{T}.1/billing/2"}
        assert [moment[2] - T for moment in sorted(states)] == [0, 30, 40, 50]


# Asterisk's queue_log.


def log(second: int, event: str, *details: Any, agent: str = "Ann", queue: str = "billing") -> str:
    call = "NONE" if event in ("PAUSE", "UNPAUSE", "PAUSEALL", "ADDMEMBER", "REMOVEMEMBER") else f"{T}.1"
    return "|".join(map(str, (T + second, call, queue, agent, event, *details)))


def test_a_member_has_two_names_of_which_one_is_mapped() -> None:
    lines = [log(0, "ADDMEMBER", agent="PJSIP/8001"), log(5, "PAUSE", "lunch")]
    names = {event.data["agent_id"] for event in published_states(QUEUE_LOG, lines, {})}
    assert names == {"PJSIP/8001", "Ann"}
    found = agent(QUEUE_LOG, *lines, members={"PJSIP/8001": "Ann"})
    assert (found["agent_id"], found["state"], found["reason"]) == ("Ann", "away", "lunch")


def test_a_pause_of_all_queues_counts_once_by_the_lines_that_follow_it() -> None:
    added = [log(0, "ADDMEMBER"), log(0, "ADDMEMBER", queue="sales")]
    assert read_payload(QUEUE_LOG, log(5, "PAUSEALL", "lunch", queue="NONE"), {}) == []
    found = agent(QUEUE_LOG, *added, log(5, "PAUSE", "lunch"))
    assert (found["state"], found["queues"]) == ("available", ["sales"])
    found = agent(QUEUE_LOG, *added, log(5, "PAUSE", "lunch"), log(5, "PAUSE", "lunch", queue="sales"))
    assert (found["state"], found["reason"]) == ("away", "lunch")


def test_an_agent_was_rung_before_the_line_that_says_so() -> None:
    lines = [log(0, "ENTERQUEUE", "", "", 1, agent="NONE"), log(20, "CONNECT", 20, "leg", 8)]
    events = published_states(QUEUE_LOG, lines, {})
    states = states_in_force((event.topic, event.data) for event in events)
    told = {(topic, at - T, state["state"]) for (topic, _, at), state in states.items()}
    assert told == {
        ("contact-state", 0, "queued"),
        ("contact-state", 12, "offered"),
        ("contact-state", 20, "connected"),
        ("agent-state", 12, "offered"),
        ("agent-state", 20, "busy"),
    }


def test_an_offer_that_was_not_answered_takes_time_even_if_it_took_none() -> None:
    events = published_states(QUEUE_LOG, [log(20, "RINGNOANSWER", 0)], {})
    told = [(event.data["at"] - T, event.data["state"]) for event in events if event.topic == "agent-state"]
    assert sorted({(round(at, 3), state) for at, state in told}) == [(19.999, "offered"), (20, "available")]


def test_an_agent_of_the_pool_is_offline_after_logging_off() -> None:
    login, logoff = log(0, "AGENTLOGIN", "chan", queue="NONE"), log(9, "AGENTLOGOFF", "chan", 9, queue="NONE")
    assert agent(QUEUE_LOG, login)["state"] == "available"
    assert agent(QUEUE_LOG, login, logoff)["state"] == "offline"


async def test_a_restart_ends_all_calls_and_leaves_members_as_they_were() -> None:
    lines = [
        log(0, "ENTERQUEUE", "", "", 1, agent="NONE"),
        log(20, "CONNECT", 20, "leg", 8),
        f"{T + 60}|NONE|NONE|NONE|QUEUESTART|",
    ]
    for order in (lines, lines[::-1]):  # also if what was under way is heard of only afterwards
        intake = MemoryIngest(QUEUE_LOG)
        for one in order:
            await intake.take(one.encode(), at=(T + 90) * 1000)
        published = [(event.topic, json.loads(event.value)) for event in intake.published.events]
        states = states_in_force(published)
        assert states["contact-state", f"{T}.1/billing/1", T + 60]["state"] == "ended"
        assert states["agent-state", "Ann", T + 60]["state"] == "available"
        assert "call-completed" not in [topic for topic, _ in published]
        assert await intake.results() == {"applied": 3}


# FreeSWITCH's mod_callcenter.


def callcenter(action: str, second: float, sequence: int = 1, **headers: Any) -> str:
    known = {"Event-Date-Timestamp": str(round((T + second) * 1e6)), "Event-Sequence": str(sequence)}
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    return json.dumps({"CC-Action": action, "CC-Agent": "1001@default", **known, **own})


MEMBER = {"CC_Queue": "billing@default", "CC_Member_UUID": "m1", "CC_Member_Session_UUID": "s1"}


@pytest.mark.parametrize(
    ("status", "work", "state"),
    [
        ("Available", "Waiting", "available"),
        ("Available (On Demand)", "Waiting", "available"),
        ("Available (On Demand)", "Idle", "wrap_up"),
        ("Available", "Idle", "away"),
        ("Available", "Receiving", "offered"),
        ("Available", "Reserved", "offered"),
        ("Available", "In a queue call", "busy"),
        ("On Break", "Waiting", "away"),
        ("Logged Out", "Waiting", "offline"),
        ("Logged Out", "In a queue call", "busy"),
    ],
)
def test_available_is_an_available_status_and_waiting(status: str, work: str, state: str) -> None:
    told = [
        callcenter("agent-status-change", 0, CC_Agent_Status=status),
        callcenter("agent-state-change", 1, CC_Agent_State=work),
    ]
    assert agent(FREESWITCH, *told)["state"] == agent(FREESWITCH, *told[::-1])["state"] == state


def test_who_logs_in_waits_though_no_event_says_so() -> None:
    told = callcenter("agent-status-change", 0, CC_Agent_Status="Available")
    found = agent(FREESWITCH, told, tiers={"1001@default": ["billing@default"]})
    assert (found["state"], found["queues"]) == ("available", ["billing@default"])


def test_events_of_one_millisecond_are_in_the_order_of_their_sequence() -> None:
    told = [
        callcenter("agent-status-change", 0, 9, CC_Agent_Status="Available"),
        callcenter("agent-status-change", 0.0001, 10, CC_Agent_Status="On Break"),
    ]
    assert agent(FREESWITCH, *told)["state"] == agent(FREESWITCH, *told[::-1])["state"] == "away"


def test_a_bridge_that_was_never_joined_is_no_talk() -> None:
    times = {"CC_Agent_Answered_Time": str(T + 9), "CC_Member_Joined_Time": str(T)}
    told = [
        callcenter("member-queue-start", 0, **MEMBER, CC_Agent=""),
        callcenter("bridge-agent-start", 9, **MEMBER, **times),
        callcenter(
            "bridge-agent-end",
            9.5,
            **MEMBER,
            **times,
            CC_Bridge_Terminated_Time=str(T + 9),
            CC_Agent_Bridged="false",
        ),
    ]
    assert latest_data(FREESWITCH, told, {}) == []
    assert contact(FREESWITCH, *told)["state"] == "queued"
    gone = callcenter(
        "member-queue-end",
        30,
        **MEMBER,
        CC_Cause="Cancel",
        CC_Cancel_Reason="BREAK_OUT",
        CC_Member_Leaving_Time=str(T + 30),
    )
    (found,) = latest_data(FREESWITCH, [*told, gone], {})
    assert (found["outcome"], found["ended_at"]) == ("abandoned", T + 30)


def test_who_lost_the_race_is_no_longer_offered_and_the_call_is_credited_to_who_won_it() -> None:
    other = MEMBER | {"CC_Agent": "1002@default"}
    told = [
        callcenter("member-queue-start", 0, **MEMBER, CC_Agent=""),
        callcenter("agent-offering", 3, **MEMBER),
        callcenter("agent-offering", 3.1, **other),
        callcenter("bridge-agent-start", 9, **other),
        callcenter("bridge-agent-fail", 9.1, **MEMBER, CC_Hangup_Cause="LOSE_RACE"),
    ]
    found = contact(FREESWITCH, *told)
    assert (found["state"], found["agent_id"]) == ("connected", "1002@default")
    ended = callcenter(
        "member-queue-end", 60, **other, CC_Cause="Terminated", CC_Member_Leaving_Time=str(T + 60)
    )
    (call,) = latest_data(FREESWITCH, [*told, ended], {})
    assert call["agent_id"] == "1002@default"


# What is kept.


def test_of_offers_without_end_the_earliest_stay_and_the_end_of_the_call_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assembly, "MAX_MINOR_FRAGMENTS", 3)
    offers = [Fragment("c", "AgentCalled", at, {}) for at in range(1, 9)]
    kept, _ = ContactAssembly().with_fragments(
        [*offers, Fragment("c", "AgentComplete", 99, {})], AMI.minor_kinds
    )
    assert [note.at for note in kept.notes] == [1, 2, 3, 99]
    assert (kept.dropped, kept.version) == (5, 9)


def test_a_roll_keeps_restarts_of_a_day_and_the_latest_lists() -> None:
    lists = [sweep_fragment(WAITING_LIST, at, queue="billing") for at in range(MAX_LISTS + 5)]
    roll = SourceRoll(last_signs={"old": 1, "new": 27 * HOUR}).with_sweeps(
        [sweep_fragment(RESTART, 1), *lists]
    )
    assert len(roll.sweeps) == MAX_LISTS + 1
    roll = roll.with_sweeps([sweep_fragment(RESTART, 28 * HOUR)])
    assert [sweep.at for sweep in roll.sweeps] == [28 * HOUR]
    assert roll.last_signs == {"new": 27 * HOUR}
