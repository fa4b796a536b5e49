"""The `streamer forget` command: erase a customer everywhere, and print what could not be erased."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import click
from aiokafka.errors import KafkaError

from streamer.dead_letters.commands import erase as erase_letters
from streamer.events.decoding import TOPICS
from streamer.events.raw_topics import raw_topic
from streamer.events.rules import DAY, MINUTE
from streamer.events.veil import Veil, key_of
from streamer.ingest.assembly import ASSEMBLIES
from streamer.ingest.run import center_of
from streamer.journeys.erasing import ErasedCounts
from streamer.journeys.journey import customer_key
from streamer.privacy import documents_naming, erase_customer, erase_everywhere, veil
from streamer.settings import Settings
from streamer.store.redis import CustomerRegistry, RedisStore
from streamer.worker.kafka import configuration, partitions

AHEAD_MS: Final = 5_000
"""The time of forgetting lies so far in the future: by then all workers know of it."""
PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.25


class ForgetError(Exception):
    """The customer cannot be forgotten; the message says why."""


class Gone(NamedTuple):
    """Counts of what was erased: facts and contacts, and the assemblies of unfinished contacts."""

    erased: ErasedCounts
    assemblies: int


async def run_forget(settings: Settings, customer: str) -> None:
    """Erase a customer, given by id or pseudonym, and print what was erased and what was not."""
    async with AsyncExitStack() as stack:
        store = await RedisStore.connect(settings.redis, settings.center, settings.rules())
        stack.push_async_callback(store.close)
        hiding = await veil(store, settings)
        lives = _lives(hiding, customer)
        at_ms, again = await _remember(store, settings, lives)
        click.echo(f"recorded{' before' if again else ''}: {', '.join(life[-1] for life in lives)}")
        if waiting := await _counted(store, at_ms):
            click.echo(waiting)
        names = [name for life in lives for name in life]
        click.echo(_done(await _erase(store, settings, names)))
        await _erase_letters(settings, names)
        await _say_unreached(settings)


async def run_list(settings: Settings) -> None:
    """Print how many customers are forgotten. Who they are is not stored."""
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        number = await CustomerRegistry(store, settings.center).number()
        click.echo(f"{number:,} pseudonyms are recorded as forgotten")
    finally:
        await store.close()


def _lives(hiding: Veil, customer: str) -> list[list[str]]:
    """Return the customer's pseudonyms under each key, oldest first. Raises ForgetError."""
    if not customer.strip():
        raise ForgetError("expected a customer id or a pseudonym")
    if (key := key_of(customer)) and not hiding.hides(customer):
        raise ForgetError(f"this pseudonym was made with key {key}, which is not in customer_keys: add it")
    return hiding.names(customer)


async def _remember(store: RedisStore, settings: Settings, lives: Sequence[list[str]]) -> tuple[int, bool]:
    """Record the customer as forgotten. Return since when (ms), and whether they were recorded before with
    nothing new since."""
    customers = CustomerRegistry(store, settings.center)
    known = await customers.forgotten()
    before = [known[name] for life in lives for name in life if name in known]
    present = await store.read([customer_key(life[-1]) for life in lives])
    if before and not any(present.values):
        return max(before), True
    at_ms = (await store.facts()).time_ms + AHEAD_MS
    await customers.forget([life[-1] for life in lives], at_ms)
    return at_ms, False


async def _counted(store: RedisStore, at_ms: int) -> str:
    """Wait until everything published before `at_ms` is counted. Return a notice where that cannot be
    seen, else ""."""
    try:
        async with asyncio.timeout(AHEAD_MS / 1000 + PATIENCE_S):
            return await caught_up(store, at_ms)
    except TimeoutError:
        return "workers are still behind: they erase what they find of the customer within ten minutes"


async def caught_up(store: RedisStore, at_ms: int) -> str:
    """Wait until all workers are past `at_ms`, and never return before that time: later facts of the id
    belong to somebody new. Return a notice where no worker runs, else ""."""
    while True:
        heartbeats = await store.heartbeats()
        now_ms = (await store.facts()).time_ms
        if now_ms <= at_ms:
            await asyncio.sleep((at_ms + 1 - now_ms) / 1000)
            continue
        if all(beat.caught_up_at > at_ms for beat in heartbeats.values()):
            return ""
        if all(0 < beat.caught_up_at < now_ms - MINUTE for beat in heartbeats.values()):  # 0: not yet
            return "no worker is running: when one starts, it erases what it finds of the customer"
        await asyncio.sleep(_PAUSE_S)


async def _erase(store: RedisStore, settings: Settings, names: Collection[str]) -> Gone:
    now_ms = (await store.facts()).time_ms
    erased = await erase_customer(store, names, now_ms) + await erase_everywhere(store, names, now_ms)
    raw = await RedisStore.connect(settings.redis, center_of(settings))
    try:
        return Gone(erased, await erase_assemblies(raw, names, now_ms))
    finally:
        await raw.close()


async def erase_assemblies(raw: RedisStore, names: Collection[str], now_ms: int) -> int:
    """Erase the stored fragments of unfinished contacts that name the customer (`streamer ingest`). Return
    how many contacts that were."""
    number = 0
    async for key, _ in documents_naming(raw, ASSEMBLIES, names):
        snapshot = await raw.read([key])
        while any(snapshot.values) and not await raw.replace(snapshot.version, [key], {key: None}, now_ms):
            snapshot = await raw.read([key])
        number += 1
    return number


async def _erase_letters(settings: Settings, names: Collection[str]) -> None:
    try:
        number = await erase_letters(settings, names.__contains__)
    except (KafkaError, OSError) as error:
        click.echo(
            f"dead letters: not erased, Kafka failed ({str(error) or type(error).__name__}); run it again"
        )
    else:
        click.echo(f"dead letters: {number:,} closed; Kafka deletes them when it compacts the topic")


def _done(gone: Gone) -> str:
    contacts, facts, named = gone.erased
    if not any((contacts, facts, named, gone.assemblies)):
        return "nothing was stored of this customer; late events from before now will be erased"
    return (
        f"erased: {contacts:,} contacts with {facts:,} facts, {gone.assemblies:,} unfinished contacts; "
        f"name and comment removed from {named:,} facts in contacts of others. Totals are unchanged"
    )


async def _say_unreached(settings: Settings) -> None:
    """Print the places that cannot be erased from here: topics, append-only file, backups, exports."""
    try:
        kept = await _kept(settings)
    except (KafkaError, OSError) as error:
        kept = f"{', '.join(TOPICS)} (Kafka failed: {str(error) or type(error).__name__})"
    raw = "".join(f", {raw_topic(name)}" for name in sorted(settings.sources))
    click.echo(f"not erased: Kafka's topics, until their records expire: {kept}{raw}")
    click.echo("  a rebuild reads them again and erases this customer again; so do workers with late events")
    click.echo("not erased: append-only file of Redis, until it is rewritten (BGREWRITEAOF), and its backups")
    click.echo("not erased: exported files, and the systems the events came from")


async def _kept(settings: Settings) -> str:
    found = await partitions(settings.kafka)
    known = await configuration(settings.kafka, [topic for topic in TOPICS if found[topic]])
    return ", ".join(f"{topic}{_days(known.get(topic, {}).get('retention.ms'))}" for topic in TOPICS)


def _days(retention_ms: str | None) -> str:
    if retention_ms is None:
        return ""
    return f" ({int(retention_ms) / DAY:.3g} days)" if int(retention_ms) >= 0 else " (unlimited)"
