"""Survey answers of one queue: weeks of history, good and bad ones now, and corrections."""

import json
from collections.abc import Iterator, Sequence
from random import Random

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.counting_rules import HOUR

QUEUE = "billing"
TEAM, OTHER_TEAM = "north-1", "south-2"
_DAYS = 28
_USUAL = (10, 3, 7, 10, 10, 7, 3, 10, 7, 10)


def survey_answer(
    name: str, at: int, nps: int, *, version: int = 0, team: str = TEAM, told_at: int | None = None
) -> SimulatedMessage:
    """Make a survey answer. `told_at`: when it is published; None: when it was given."""
    data = {
        "response_id": name, "answered_at": at / 1000, "answers": {"nps": nps}, "version": version,
        "queue": QUEUE, "team": team,
    }  # fmt: skip
    return SimulatedMessage(
        at if told_at is None else told_at, "survey-completed", name.encode(), json.dumps(data).encode(), ()
    )


def weeks(now: int) -> Iterator[SimulatedMessage]:
    """Yield one usual answer an hour, the last an hour ago: a fifth are detractors, half promoters."""
    random = Random("teams")
    for ago in range(_DAYS * 24, 0, -1):
        team = random.choice((TEAM, OTHER_TEAM))
        yield survey_answer(f"past-{ago}", now - ago * HOUR, _USUAL[ago % len(_USUAL)], team=team)


def several(
    name: str, how_many: int, now: int, nps: int, *, ago: int = 0, team: str = TEAM
) -> Sequence[SimulatedMessage]:
    """Make answers given so long `ago` (ms) and published now."""
    return [survey_answer(f"{name}-{one}", now - ago, nps, team=team, told_at=now) for one in range(how_many)]


def corrected(before: Sequence[SimulatedMessage], now: int, nps: int) -> Sequence[SimulatedMessage]:
    """The same answers in a higher version."""
    known = [json.loads(message.value) for message in before]
    return [
        survey_answer(one["response_id"], round(1000 * one["answered_at"]), nps, version=1, told_at=now)
        for one in known
    ]
