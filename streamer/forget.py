"""How a customer is forgotten: what is erased, in which order, and what cannot be reached."""

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
"""So far ahead lies the moment of forgetting: until then all workers know of it."""
PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.25


class ForgetError(Exception):
    """The customer cannot be forgotten as asked for; the message says why."""


class Gone(NamedTuple):
    erased: ErasedCounts
    assemblies: int


async def run_forget(settings: Settings, customer: str) -> None:
    """Erase a customer, by id or by pseudonym, and say what was done and what was not."""
    async with AsyncExitStack() as stack:
        store = await RedisStore.connect(settings.redis, settings.center, settings.rules())
        stack.push_async_callback(store.close)
        hiding = await veil(store, settings)
        lives = _lives(hiding, customer)
        at_ms, again = await _remember(store, settings, lives)
        click.echo(f"remembered: {'again, ' if again else ''}{', '.join(life[-1] for life in lives)}")
        if waiting := await _counted(store, at_ms):
            click.echo(waiting)
        names = [name for life in lives for name in life]
        click.echo(_done(await _erase(store, settings, names)))
        await _erase_letters(settings, names)
        await _say_unreached(settings)


async def run_list(settings: Settings) -> None:
    """How many are forgotten: who they are is what nobody may know."""
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        number = await CustomerRegistry(store, settings.center).number()
        click.echo(f"{number:,} pseudonyms are remembered as forgotten")
    finally:
        await store.close()


def _lives(hiding: Veil, customer: str) -> list[list[str]]:
    if not customer.strip():
        raise ForgetError("expected a customer's id or pseudonym")
    if (key := key_of(customer)) and not hiding.hides(customer):
        raise ForgetError(f"this is a pseudonym of key {key}, which is not among customer_keys")
    return hiding.names(customer)


async def _remember(store: RedisStore, settings: Settings, lives: Sequence[list[str]]) -> tuple[int, bool]:
    """Since when the customer is forgotten; and whether they were before, and nothing came since."""
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
    """Wait until all is counted that was published before; says where that is not to be seen."""
    try:
        async with asyncio.timeout(AHEAD_MS / 1000 + PATIENCE_S):
            return await caught_up(store, at_ms)
    except TimeoutError:
        return "not all is counted yet: what workers still find of the customer they erase in ten minutes"


async def caught_up(store: RedisStore, at_ms: int) -> str:
    """Never before the moment is over: who goes on after us begins somebody new."""
    while True:
        heartbeats = await store.heartbeats()
        now_ms = (await store.facts()).time_ms
        if now_ms <= at_ms:
            await asyncio.sleep((at_ms + 1 - now_ms) / 1000)
            continue
        if all(beat.caught_up_at > at_ms for beat in heartbeats.values()):
            return ""
        if all(0 < beat.caught_up_at < now_ms - MINUTE for beat in heartbeats.values()):  # 0: not yet
            return "no worker is at work: what it still finds of the customer it erases when it starts"
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
    """What known sources said of a contact that is not over yet, as far as it is known."""
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
            f"dead letters: not reached, Kafka says {str(error) or type(error).__name__}; run it again"
        )
    else:
        click.echo(f"dead letters: {number:,} closed; the topic is compacted, Kafka drops them by itself")


def _done(gone: Gone) -> str:
    contacts, facts, named = gone.erased
    if not any((contacts, facts, named, gone.assemblies)):
        return "nothing was stored of this customer; what comes of before now will be erased"
    return (
        f"erased: {contacts:,} contacts with {facts:,} facts; {named:,} facts in other customers' contacts "
        f"lost name and comment; {gone.assemblies:,} contacts of known sources under way. Totals stay"
    )


async def _say_unreached(settings: Settings) -> None:
    try:
        kept = await _kept(settings)
    except (KafkaError, OSError) as error:
        kept = f"{', '.join(TOPICS)} (Kafka does not answer: {str(error) or type(error).__name__})"
    raw = "".join(f", {raw_topic(name)}" for name in sorted(settings.sources))
    click.echo(f"not reached: Kafka's own log, until its records expire: {kept}{raw}")
    click.echo("  a rebuild reads it again, and erases this customer again; late events are erased likewise")
    click.echo("not reached: Redis's append-only file, until it is rewritten (BGREWRITEAOF), and its backups")
    click.echo("not reached: what was exported, and the systems that the events came from")


async def _kept(settings: Settings) -> str:
    found = await partitions(settings.kafka)
    known = await configuration(settings.kafka, [topic for topic in TOPICS if found[topic]])
    return ", ".join(f"{topic}{_days(known.get(topic, {}).get('retention.ms'))}" for topic in TOPICS)


def _days(retention_ms: str | None) -> str:
    if retention_ms is None:
        return ""
    return f" ({int(retention_ms) / DAY:.3g} days)" if int(retention_ms) >= 0 else " (for ever)"
