"""A seeded day of a small center, told in no vendor's words: agents, queues, calls and chats."""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
OPENING = 1_772_438_400_000  # 2026-03-02T08:00:00Z
QUEUES = ("billing", "sales", "retention")
CHATS_AT_ONCE = 3


class Happening(NamedTuple):
    """Something that happened at `ms`; no two happen at the same.

    `what`: sign_in, status, sign_off, queued, offered, unanswered, cleared, connected, held, retrieved,
    hung_up, wrapped, abandoned.
    """

    ms: int
    what: str
    agent: str = ""
    contact: str = ""
    queue: str = ""
    channel: str = ""
    more: Any = None


class _Agent:
    def __init__(self, queues: tuple[str, ...]) -> None:
        self.queues, self.status, self.hands = queues, "offline", dict[str, str]()
        self.leaves = False

    def takes(self, queue: str, channel: str) -> bool:
        if self.status != "available" or self.leaves or queue not in self.queues:
            return False
        free = len(self.hands) < CHATS_AT_ONCE and "voice" not in self.hands.values()
        return free if channel == "chat" else not self.hands


class _CenterDay:
    def __init__(self, seed: int, contacts: int, transfers: bool) -> None:
        self.chance, self.transfers = Random(seed), transfers
        self.happenings: list[Happening] = []
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._now = OPENING
        self._agents = {
            f"agent-{number}": _Agent(tuple(self.chance.sample(QUEUES, self.chance.randint(1, 3))))
            for number in range(6)
        }
        self._waiting: dict[str, tuple[str, str]] = {}
        for name in self._agents:
            self._after(self.chance.randint(0, 20) * MINUTE, lambda name=name: self._sign_in(name))
        for number in range(contacts):
            self._after(self.chance.randint(1, 8 * HOUR), lambda number=number: self._arrive(number))

    def run(self) -> list[Happening]:
        while self._due:
            ms, _, act = heapq.heappop(self._due)
            self._now = max(ms, self._now)
            act()
        return self.happenings

    def _after(self, delay_ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self._now + delay_ms, len(self.happenings) * 1000 + len(self._due), act))

    def _tell(self, what: str, agent: str = "", contact: str = "", more: Any = None) -> None:
        if self.happenings and self._now <= self.happenings[-1].ms:
            self._now = self.happenings[-1].ms + 1
        queue, channel = self._contacts.get(contact, ("", ""))
        self.happenings.append(Happening(self._now, what, agent, contact, queue, channel, more))

    @property
    def _contacts(self) -> dict[str, tuple[str, str]]:
        return self.__dict__.setdefault("contacts", {})

    def _sign_in(self, name: str) -> None:
        self._tell("sign_in", name, more=self._agents[name].queues)
        self._set_status(name, "available")
        for hour in range(1, 8):
            reason = self.chance.choice(("Lunch", "Break", "Training"))
            self._after(
                hour * HOUR + self.chance.randint(0, HOUR), lambda reason=reason: self._go_away(name, reason)
            )  # type: ignore[misc]
        self._after(9 * HOUR + self.chance.randint(0, HOUR), lambda: self._sign_off(name))

    def _set_status(self, name: str, status: str) -> None:
        self._agents[name].status = status
        self._tell("status", name, more=status)
        self._assign()

    def _go_away(self, name: str, reason: str) -> None:
        agent = self._agents[name]
        if agent.status == "available" and not agent.hands and not agent.leaves:
            self._set_status(name, reason)
            self._after(self.chance.randint(2, 20) * MINUTE, lambda: self._set_status(name, "available"))

    def _sign_off(self, name: str) -> None:
        agent = self._agents[name]
        agent.leaves = True
        if agent.hands or agent.status != "available":
            self._after(MINUTE, lambda: self._sign_off(name))
            return
        if with_status := self.chance.random() < 0.5:
            self._set_status(name, "offline")
        self._tell("sign_off", name, more=with_status)
        agent.status = "offline"

    def _arrive(self, number: int) -> None:
        channel = "chat" if self.chance.random() < 0.4 else "voice"
        self._enqueue(f"contact-{number}", self.chance.choice(QUEUES), channel, None)

    def _enqueue(self, contact: str, queue: str, channel: str, former: str | None) -> None:
        self._contacts[contact] = self._waiting[contact] = queue, channel
        self._tell("queued", contact=contact, more=former)
        self._after(self.chance.randint(20, 900) * SECOND, lambda: self._give_up(contact))
        self._assign()

    def _give_up(self, contact: str) -> None:
        if self._waiting.pop(contact, None):
            self._tell("abandoned", contact=contact)

    def _assign(self) -> None:
        for contact, (queue, channel) in [*self._waiting.items()]:
            free = [name for name, agent in self._agents.items() if agent.takes(queue, channel)]
            if free:
                del self._waiting[contact]
                self._offer(self.chance.choice(free), contact, channel)

    def _offer(self, name: str, contact: str, channel: str) -> None:
        self._agents[name].hands[contact] = channel
        self._tell("offered", name, contact)
        answers = self.chance.random() < 0.85
        act = self._connect if answers else self._miss
        self._after(self.chance.randint(2, 20) * SECOND, lambda: act(name, contact))

    def _miss(self, name: str, contact: str) -> None:
        self._tell("unanswered", name, contact)
        self._after(8 * SECOND, lambda: self._clear(name, contact))

    def _clear(self, name: str, contact: str) -> None:
        self._tell("cleared", name, contact)
        del self._agents[name].hands[contact]
        self._waiting[contact] = self._contacts[contact]
        self._after(self.chance.randint(20, 300) * SECOND, lambda: self._give_up(contact))
        self._assign()

    def _connect(self, name: str, contact: str) -> None:
        self._tell("connected", name, contact)
        if self.chance.random() < 0.3:
            self._after(20 * SECOND, lambda: self._tell("held", name, contact))
            self._after(45 * SECOND, lambda: self._tell("retrieved", name, contact))
        self._after(self.chance.randint(60, 600) * SECOND, lambda: self._hang_up(name, contact))

    def _hang_up(self, name: str, contact: str) -> None:
        moves = self.transfers and not contact.endswith("+") and self.chance.random() < 0.2
        self._tell("hung_up", name, contact, moves)
        if moves:
            _, channel = self._contacts[contact]
            self._enqueue(f"{contact}+", self.chance.choice(QUEUES), channel, contact)
        self._after(self.chance.randint(5, 60) * SECOND, lambda: self._wrap(name, contact))

    def _wrap(self, name: str, contact: str) -> None:
        self._tell("wrapped", name, contact)
        del self._agents[name].hands[contact]
        self._assign()


def center_day(seed: int, contacts: int = 120, transfers: bool = True) -> list[Happening]:
    """Return what happened, in order of time; all have gone home in the end."""
    return _CenterDay(seed, contacts, transfers).run()
