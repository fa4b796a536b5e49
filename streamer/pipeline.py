"""Here is the way of a batch: decode, read, apply, fold, one commit.

A `Lane` is a partition in the hands of this process. It counts batches strictly in the order of the
log, each from the offset where the one before it ended, and never from one freshly read: a batch that
follows a refused one would else be counted over it.
"""

import asyncio
import secrets
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Protocol, TypeVar

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamer.events.decoding import Record, decode
from streamer.events.models import QUESTIONS, Event, Rejected, Response, Segment
from streamer.events.rules import UNKNOWN, Rules
from streamer.events.veil import CLEAR, Veil
from streamer.journeys.apply import apply, keys_of
from streamer.journeys.desk import Desk, Missing
from streamer.journeys.journey import NOTHING, Key, entry_key
from streamer.metrics.tally import HANDLE_LIMITS_S
from streamer.panes import posting
from streamer.panes.fold import Tallies, delta, handle_ms, last_segment
from streamer.panes.grid import SEPARATOR, oldest
from streamer.recognition import checkpoint
from streamer.store.port import (
    TOKEN_BYTES,
    Applied,
    Changed,
    Checkpoint,
    Commit,
    Moved,
    Partition,
    Position,
    Store,
)

COMMIT_EVENTS: Final = 500
MERGED_PANES: Final = 1
"""At a time: counting goes on beside it."""
_HANDLE_LIMITS_MS: Final = [limit * 1000 for limit in HANDLE_LIMITS_S]
_HANDLE_LABELS: Final = [*map(str, HANDLE_LIMITS_S), "+Inf"]
_CHECKPOINT_BLOCKS: Final = (64, 1_024, 16_384, 262_144, 4_194_304)
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

log = structlog.get_logger()
Letter = tuple[Record, Rejected]
T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - it is an answer
    """Another owner moved the partition: what was delivered here is void, go on at `position`."""

    def __init__(self, position: Position | None) -> None:
        super().__init__(position)
        self.position = position


class DeadLetters(Protocol):
    async def send(self, letters: Sequence[Letter]) -> None:
        """Returns once they are safe."""


class Watch(Protocol):
    """What is told of the pipeline's own doing."""

    def conflict(self) -> None: ...

    def committed(self, records: Sequence[Record], now_ms: int) -> None: ...


class Counting:
    """What all lanes of a worker share. `clock` is the wall clock in ms; `watermark` the oldest
    committed record timestamp over all partitions, as far as is known."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        dead: DeadLetters,
        watch: Watch,
        clock: Callable[[], int],
        *,
        veil: Veil = CLEAR,
    ) -> None:
        self.store = store
        self.rules = rules
        self.veil = veil
        self.dead = dead
        self.watch = watch
        self.clock = clock
        self.watermark = 0
        self.roller = posting.Roller(rules.pairs)
        self._posted: Counter[int] = Counter()

    def oldest_fine(self) -> int:
        """The first fine pane that is kept: of history there is none to be made."""
        return oldest("fine", self.clock(), self.rules.retention_ms)

    def posted(self, commit: Commit) -> None:
        self._posted.update(commit.long.keys())

    async def compact(self, at_least: int) -> None:
        """Merge the postings of the hours that this worker posted to so often. Ten seconds' panes are
        left as they are: their cells hardly ever meet twice."""
        crowded = [index for index, times in self._posted.items() if times >= at_least]
        for index in crowded[:MERGED_PANES]:
            del self._posted[index]
            left = await self.store.compact("long", index, posting.merge)
            if left >= at_least:
                self._posted[index] += left

    def forget_before(self, records: Sequence[Record]) -> int:
        """A contact of two horizons ago may still be taken back: then its neighbours within the FCR
        window count anew, and what they are depends on their own neighbours. Records older than the
        watermark (a replay) need what is around them."""
        oldest = min([self.watermark, *(record.timestamp for record in records)])
        return oldest - 2 * self.rules.horizon_ms - 2 * self.rules.fcr_ms


class Lane:
    """One partition: `position` is what is counted."""

    def __init__(self, partition: Partition, position: Position, counting: Counting) -> None:
        self.partition = partition
        self.position = position
        self._counting = counting

    async def count(self, records: Sequence[Record], end: int) -> None:
        """Count a batch; `end` is the offset after it. Returns when all is committed; raises Refused."""
        for first in range(0, len(records), COMMIT_EVENTS):
            chunk = records[first : first + COMMIT_EVENTS]
            last = first + COMMIT_EVENTS >= len(records)
            await self._count(chunk, end if last else chunk[-1].offset + 1)

    async def _count(self, records: Sequence[Record], end: int) -> None:
        counting = self._counting
        decoded = [(record, decode(record, counting.rules, counting.veil)) for record in records]
        letters = [(record, event) for record, event in decoded if isinstance(event, Rejected)]
        if letters:
            await persist(lambda: counting.dead.send(letters))
        events = [(record, event) for record, event in decoded if not isinstance(event, Rejected)]
        while True:
            commit = await self._prepare(records, events, len(letters), end)
            outcome = await persist(lambda sent=commit: counting.store.commit(sent, counting.clock()))  # type: ignore[misc]
            if isinstance(outcome, Changed):
                counting.watch.conflict()
                continue
            break
        if isinstance(outcome, Moved):
            raise Refused(outcome.position)
        assert isinstance(outcome, Applied)
        self.position = commit.position
        counting.posted(commit)
        counting.watch.committed(records, counting.clock())

    async def _prepare(
        self, records: Sequence[Record], events: list[tuple[Record, Event]], rejected: int, end: int
    ) -> Commit:
        """Read, apply and fold; the commit to be sent."""
        counting = self._counting
        work = Work(counting.store, Desk(counting.forget_before(records)))
        await work.read({key for _, event in events for key in keys_of(event)})
        tally = Tallier(self.partition.topic, counting.rules)
        tally.result("rejected", rejected)
        for record, event in events:
            known = _state(work.desk, event)
            applied = await work.apply(event, counting.rules, record.timestamp)
            tally.result("applied" if applied else "unchanged", 1)
            if applied and not known:
                tally.first(event, work.desk)
        tally.add("crowds", work.desk.crowds)
        tallies: Tallies = {}
        journeys: dict[int, list[Key]] = {}
        for key, before in work.desk.before.items():
            for pane in delta(key, before, work.desk.after[key], counting.rules, tallies):
                journeys.setdefault(pane, []).append(key)
        tallies = posting.clean(tallies)
        return Commit(
            partition=self.partition,
            epoch=self.position.epoch,
            start=self.position.next,
            position=self._after(records[-1], end),
            reads=work.tokens,
            writes=work.desk.writes(),
            fine=posting.fine(tallies, journeys, counting.oldest_fine()),
            long=counting.roller.long(tallies),
            counts=tally.counts,
        )

    def _after(self, last: Record, end: int) -> Position:
        token = secrets.token_bytes(TOKEN_BYTES)
        checkpoints = checkpoints_with(
            self.position.checkpoints, checkpoint(last.offset, last.timestamp, last.key, last.value)
        )
        return Position(self.position.epoch, end, token, checkpoints)


def _state(desk: Desk, event: Event) -> bool:
    """Whether this identity was ever stated before."""
    return desk.entries.get(entry_key(event.identity), NOTHING).fact is not None


def checkpoints_with(known: Iterable[Checkpoint], last: Checkpoint) -> tuple[Checkpoint, ...]:
    """The last record counted, and of the blocks of growing size it lies in the first one known."""
    points = sorted({*known, last}, key=lambda point: point.offset)
    kept = {
        next(point for point in points if point.offset // block == last.offset // block)
        for block in _CHECKPOINT_BLOCKS
    }
    return tuple(sorted({points[0], *kept, last}, key=lambda point: point.offset))


async def persist(call: Callable[[], Awaitable[T]]) -> T:
    """Try until the infrastructure answers; the same call is sent again, the store's comparison makes
    that safe. An error that is an answer is raised."""
    attempt = 0
    while True:
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, ConnectionError, TimeoutError, OSError) as error:
            if attempt % 20 == 0:
                log.warning("waiting for the infrastructure", error=str(error) or type(error).__name__)
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1


class Work:
    """A desk with a store behind it: reads until closed, and remembers every token it saw."""

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self.desk = desk
        self.tokens: dict[Key, bytes | None] = {}

    async def read(self, keys: Iterable[Key]) -> None:
        wanted = {key for key in keys if key not in self.desk}
        while wanted:
            asked = sorted(wanted)
            for key, document in zip(asked, await persist(lambda: self._store.read(asked)), strict=True):  # noqa: B023
                self.tokens[key] = document.token if document else None
                self.desk.put(key, document.value if document else None)
            wanted = self.desk.follow(asked)

    async def apply(self, event: Event, rules: Rules, record_ms: int) -> bool:
        while True:
            try:
                return apply(event, self.desk, rules, record_ms)
            except Missing as missing:
                await self.read(missing.keys)


@lru_cache(maxsize=4096)
def _named(*parts: str) -> str:
    return SEPARATOR.join(parts)


class Tallier:
    """Plain counters: results per topic, and what is stated for the first time. They never decrease."""

    def __init__(self, topic: str, rules: Rules) -> None:
        self._topic = topic
        self._rules = rules
        self.counts: dict[str, int] = {}

    def add(self, name: str, amount: int) -> None:
        if amount:
            self.counts[name] = self.counts.get(name, 0) + amount

    def result(self, result: str, amount: int) -> None:
        self.add(_named("events", self._topic, result), amount)

    def first(self, event: Event, desk: Desk) -> None:
        if isinstance(event, Segment):
            self._segment(event)
        elif isinstance(event, Response) and not event.excluded:
            self._response(event, desk)

    def _segment(self, segment: Segment) -> None:
        queue, channel = segment.queue or UNKNOWN, segment.channel or UNKNOWN
        self.add(_named("segments", queue, channel, segment.outcome), 1)
        if segment.direction == "inbound" and segment.outcome == "answered" and segment.talk_ms is not None:
            ms = handle_ms(segment)
            self.add(_named("handle", queue, _HANDLE_LABELS[bisect_left(_HANDLE_LIMITS_MS, ms)]), 1)
            self.add(_named("handle_ms", queue), ms)

    def _response(self, response: Response, desk: Desk) -> None:
        queue = _queue_of(response, desk) or UNKNOWN
        for question in QUESTIONS:
            answer = getattr(response, question)
            if answer is not None:
                self.add(_named("answers", queue, question, str(answer).lower()), 1)


def _queue_of(response: Response, desk: Desk) -> str | None:
    """Its contact's queue where that is known by now, else what it says itself."""
    key = entry_key(response.identity)
    lies_in = desk.entries.get(key, NOTHING).group(key)
    home = desk.entries.get(lies_in, NOTHING).home
    draft = desk.after.get(home) if home is not None else None
    group = draft.groups.get(lies_in) if draft is not None else None
    segment = last_segment(group.segments) if group is not None else None
    return (segment.queue if segment is not None else None) or response.queue
