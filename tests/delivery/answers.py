"""Here are answers of customers of one queue: those of weeks, good and bad ones now, and corrections."""

import json
from collections.abc import Iterator, Sequence
from random import Random

from streamer.demo.letters import Message
from streamer.events.rules import DAY, MINUTE

QUEUE = "billing"
TEAM = "north-1"
_DAYS = 28
_A_DAY = 24


def answer(name: str, at: int, nps: int, version: int = 0, published_at: int | None = None) -> Message:
    """`published_at`: None: when it was given."""
    data = {
        "response_id": name, "answered_at": at / 1000, "answers": {"nps": nps}, "version": version,
        "queue": QUEUE, "team": TEAM,
    }  # fmt: skip
    told = at if published_at is None else published_at
    return Message(told, "survey-completed", name.encode(), json.dumps(data).encode(), ())


def weeks(now: int) -> Iterator[Message]:
    """A fifth are detractors, half promoters; none of the last hour."""
    random, first = Random("weeks"), now - _DAYS * DAY
    for number in range(_DAYS * _A_DAY):
        at = first + number * DAY // _A_DAY + random.randrange(30 * MINUTE)
        if at < now - 60 * MINUTE:
            yield answer(f"past-{number}", at, random.choices((3, 7, 10), (2, 3, 5))[0])


def several(name: str, how_many: int, now: int, nps: int, ago: int = 0) -> Sequence[Message]:
    """Given so long `ago` (ms), heard of now."""
    return [answer(f"{name}-{number}", now - ago, nps, published_at=now) for number in range(how_many)]


def corrected(before: Sequence[Message], now: int, nps: int) -> Sequence[Message]:
    """The same answers in a higher version."""
    known = [json.loads(message.value) for message in before]
    return [answer(one["response_id"], round(one["answered_at"] * 1000), nps, 1, now) for one in known]
