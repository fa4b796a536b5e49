"""Commands `streamer alerts`: list the alerts, explain a rule, backtest rules."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import Progress

from streamer.alerts.rules import Rule, rules
from streamer.alerts.showing import telling
from streamer.alerts.showing.explaining import Explanation, explanation
from streamer.alerts.showing.rehearsal import Rehearsal, Stage, moments
from streamer.alerts.showing.telling import Listed, Standing
from streamer.alerts.watch import Watch
from streamer.alerts.words import clock
from streamer.delivery.record import EMPTY, Record, read
from streamer.delivery.standings import standings
from streamer.events.rules import DAY, HOUR
from streamer.panes.pane_keys import ALL
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.readings.times import milliseconds
from streamer.settings import Settings
from streamer.store.redis import LeasedDocument, RedisStore

SHOWN: Final = 3
"""Number of groups of a rule that are explained in full if no key was given."""
_BACK_MS: Final = 7 * DAY


class Known(NamedTuple):
    """Settings, data and alert state that a command works on, as of `now_ms`."""

    settings: Settings
    reader: Reader
    watch: Watch
    record: Record
    now: int

    def rule(self, name: str) -> Rule:
        """Return the rule of that name. Raises QueryError with similar names if there is none."""
        found = {rule.name: rule for rule in self.watch.rules}
        if name not in found:
            raise QueryError(f"{name}: no such rule, {_instead(name, found)}")
        return found[name]

    def moment(self, option: str, text: str) -> int:
        """Return the time (ms) given for an option. Raises QueryError if no data is kept of it."""
        at = milliseconds(option, text)
        earliest = self.earliest()
        if at > self.now:
            raise QueryError(f"{option} = {text!r}: expected a time in the past")
        if at < earliest:
            known = clock(earliest, 0, self.settings.timezone)
            raise QueryError(f"{option} = {text!r}: no data from before {known} is kept")
        return at

    def earliest(self) -> int:
        """Return the start of the first hour that is kept (ms). Raises QueryError if there is none."""
        hours = self.reader.kept(ALL, "long", 0, self.now // HOUR + 1).panes
        if not hours:
            raise QueryError("no data was counted yet")
        return min(hours) * HOUR

    def standings(self) -> dict[tuple[str, str], Standing]:
        return standings(self.record, self.watch.rules, self.now, self.settings.timezone)


@asynccontextmanager
async def _known(settings: Settings, now: int) -> AsyncIterator[Known]:
    in_force = rules(settings)
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        reader = Reader(store, settings)
        await reader.refresh(now)
        document = await LeasedDocument(store, "alerts").read()
        record = EMPTY if document is None else read(document.value)
        yield Known(settings, reader, Watch(reader, settings, in_force), record, now)
    finally:
        await store.close()


async def list_alerts(settings: Settings, now: int, at: str | None, as_json: bool) -> str:
    """Return the output of `streamer alerts list`."""
    async with _known(settings, now) as known:
        return listed(known, at, as_json)


def listed(known: Known, at: str | None, as_json: bool) -> str:
    """List the current alerts (none for a moment in the past) and the verdicts of every rule."""
    moment = None if at is None else known.moment("at", at)
    found = Listed(
        {} if moment is not None else known.standings(),
        known.watch.judged(known.now, moment),
        known.now if moment is None else moment,
        known.settings.timezone,
    )
    return telling.list_as_json(found).decode() if as_json else telling.listed(found)


async def explain(
    settings: Settings, now: int, name: str, key: str | None, at: str | None, as_json: bool
) -> str:
    async with _known(settings, now) as known:
        return explained(known, name, key, at, as_json)


def explained(known: Known, name: str, key: str | None, at: str | None, as_json: bool) -> str:
    rule = known.rule(name)
    moment = None if at is None else known.moment("at", at)
    found = explanation(known.watch, rule, key, known.now, moment)
    if not found and key is not None:
        _known_key(rule, key, explanation(known.watch, rule, None, known.now, moment))
    if as_json:
        return msgspec.json.encode(found).decode()
    return _explained(known, found) if found else "No data for this rule yet."


def _known_key(rule: Rule, key: str, others: Sequence[Explanation]) -> None:
    """Raise QueryError: the rule has no group of that key."""
    if rule.by == ALL:
        raise QueryError(f"key = {key!r}: {rule.name} covers the whole center and has no keys")
    raise QueryError(f"key = {key!r}: no such {rule.by}, {_instead(key, [one.key for one in others])}")


def _explained(known: Known, found: Sequence[Explanation]) -> str:
    """Explain the worst groups in full, and name the others with a line each."""
    worst = sorted(found, key=lambda one: (telling.WORST.index(one.state), -_share(one), one.key))
    standing = known.standings()
    told = [telling.explained(one, standing.get((one.rule, one.key))) for one in worst[:SHOWN]]
    others = [f"{one.state:<11} {telling.named(one.rule, one.key)}: {one.reason}" for one in worst[SHOWN:]]
    if others:
        told.append("\n".join(["Others (--key explains one):", *others]))
    return "\n\n".join(told)


def _share(one: Explanation) -> float:
    evidence, line = one.figures.evidence, one.figures.line
    return evidence / line if evidence is not None and line else 0.0


def _instead(name: str, known: Iterable[str]) -> str:
    """Suggest names similar to a mistyped one, else list all.

    >>> _instead("nps-dorp", ["nps-drop", "csat-drop"])
    'did you mean nps-drop or csat-drop?'
    >>> _instead("x", [])
    'none exists yet'
    """
    names = [*known]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"expected one of {', '.join(names)}" if names else "none exists yet"


async def rehearse(
    settings: Settings, now: int, since: str | None, until: str | None, names: Sequence[str], as_json: bool
) -> str:
    """Return the output of `streamer alerts test`. Shows progress on standard error if that is a terminal."""
    async with _known(settings, now) as known:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            found = rehearsed(known, since, until, names, bar)
    return msgspec.json.encode(found).decode() if as_json else telling.rehearsed(found, settings.timezone)


def rehearsed(
    known: Known, since: str | None, until: str | None, names: Sequence[str], bar: Progress
) -> Rehearsal:
    chosen = [known.rule(name) for name in dict.fromkeys(names)] or known.watch.rules
    last = known.now if until is None else known.moment("to", until)
    first = max(last - _BACK_MS, known.earliest()) if since is None else known.moment("from", since)
    looked_at = moments(first, last, known.now)
    if not looked_at:
        raise QueryError("from, to: expected an hour or more between them")
    task = bar.add_task("backtesting", total=len(looked_at))
    stage = Stage(known.watch, chosen, known.now)
    return stage.played(looked_at, lambda done: bar.update(task, completed=done))
