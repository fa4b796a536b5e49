"""The rule by which states count, and how long each was in force: a plain form of it for tests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.models import AGENT_STATES, CONTACT_STATES

Moment = tuple[str, str, float]
"""Topic, id of the segment or agent, and time."""
States = dict[Moment, dict[str, Any]]
ORDER = {"contact-state": CONTACT_STATES, "agent-state": AGENT_STATES}


def states_in_force(events: Iterable[tuple[str, Mapping[str, Any]]]) -> States:
    """Return the state of each moment, without its version: the greatest counts, unless a deletion of
    this moment has none less."""
    states: dict[Moment, dict[str, Any]] = {}
    deleted: dict[Moment, int] = {}
    for topic, data in events:
        if topic not in ORDER:
            continue
        names = ("segment_id", "contact_id") if topic == "contact-state" else ("agent_id",)
        moment = topic, next(data[name] for name in names if name in data), data["at"]
        version = data.get("version", 0)
        if data.get("deleted"):
            deleted[moment] = max(deleted.get(moment, -1), version)
        else:
            earlier = states.get(moment)
            if earlier is None or _rank(topic, earlier) < _rank(topic, {**data, "version": version}):
                states[moment] = {**data, "version": version}
    return {
        moment: {name: value for name, value in state.items() if name != "version"}
        for moment, state in states.items()
        if state["version"] > deleted.get(moment, -1)
    }


def _rank(topic: str, data: Mapping[str, Any]) -> tuple[int, int]:
    return data["version"], ORDER[topic].index(data["state"])


def state_intervals(states: States) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """Return, by topic and id, since when each state was in force; one that repeats is one interval."""
    intervals: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for (topic, name, at), state in sorted(states.items(), key=lambda item: item[0]):
        own = intervals.setdefault((topic, name), [])
        if not own or own[-1][1] != state["state"]:
            own.append((at, state["state"]))
    return intervals


def difference(found: States, expected: States) -> Sequence[str]:
    """Return the first few moments that differ, with what is said of them: a dict of thousands is no help."""
    moments = sorted(
        (moment for moment in found.keys() | expected.keys() if found.get(moment) != expected.get(moment)),
        key=lambda moment: moment[2],
    )
    return [f"{moment}: {found.get(moment)} instead of {expected.get(moment)}" for moment in moments[:5]]
