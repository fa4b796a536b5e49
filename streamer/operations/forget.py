"""The `streamer forget` command: erase a customer everywhere, and print what could not be erased."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, NamedTuple

import click
from aiokafka.errors import KafkaError

from streamer.dead_letters.commands import erase_letters as erase_letters
from streamer.events.counting_rules import DAY, MINUTE
from streamer.events.decoding import TOPICS
from streamer.events.raw_topics import raw_topic
from streamer.ingest.assembly import ASSEMBLIES
from streamer.ingest.run import ingest_center
from streamer.journeys.erasure import ErasedCounts
from streamer.journeys.journey import customer_key
from streamer.privacy.pseudonyms import Pseudonymizer, key_id_of
from streamer.runtime.retry import retry_refused
from streamer.settings import Settings
from streamer.store.port import CustomerRegistry
from streamer.store.redis import RedisRegistry, RedisStore
from streamer.worker.forgotten_customers import (
    erase_customer,
    erase_everywhere,
    find_documents_naming,
    load_pseudonymizer,
)
from streamer.worker.kafka import count_partitions, describe_topic_configs

FORGET_LEAD_MS: Final = 5_000
"""The time of forgetting lies so far in the future: by then all workers know of it."""
CATCH_UP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.25


class ForgetError(Exception):
    """The customer cannot be forgotten; the message says why."""


class ErasureResult(NamedTuple):
    """Counts of what was erased: facts and contacts, and the assemblies of unfinished contacts."""

    erased: ErasedCounts
    assemblies: int


async def run_forget(settings: Settings, customer: str) -> None:
    """Erase a customer, given by id or pseudonym, and print what was erased and what was not."""
    async with AsyncExitStack() as stack:
        store = await retry_refused(
            lambda: RedisStore.connect(settings.redis_url(), settings.center, settings.counting_rules())
        )
        stack.push_async_callback(store.close)
        registry = RedisRegistry(store, settings.center)
        pseudonymizer = await retry_refused(lambda: load_pseudonymizer(registry, settings))
        pseudonyms_by_key = _find_pseudonyms(pseudonymizer, customer)
        at_ms, was_forgotten = await _mark_forgotten(store, registry, pseudonyms_by_key)
        click.echo(
            f"recorded{' before' if was_forgotten else ''}: "
            f"{', '.join(pseudonyms[-1] for pseudonyms in pseudonyms_by_key)}"
        )
        if notice := await _wait_until_counted(store, at_ms):
            click.echo(notice)
        names = [name for pseudonyms in pseudonyms_by_key for name in pseudonyms]
        click.echo(_erasure_summary(await _erase(store, settings, names)))
        await _erase_dead_letters(settings, names)
        await _print_unreached(settings)


async def run_list_forgotten(settings: Settings) -> None:
    """Print how many customers are forgotten. Who they are is not stored."""
    store = await RedisStore.connect(settings.redis_url(), settings.center)
    try:
        pseudonym_count = await RedisRegistry(store, settings.center).forgotten_count()
        click.echo(f"{pseudonym_count:,} pseudonyms are recorded as forgotten")
    finally:
        await store.close()


def _find_pseudonyms(pseudonymizer: Pseudonymizer, customer: str) -> list[list[str]]:
    """Return the customer's pseudonyms under each key, oldest first. Raises ForgetError."""
    if not customer.strip():
        raise ForgetError("expected a customer id or a pseudonym")
    if (key_id := key_id_of(customer)) and not pseudonymizer.is_pseudonym(customer):
        raise ForgetError(f"this pseudonym was made with key {key_id}, which is not in customer_keys: add it")
    return pseudonymizer.pseudonyms_by_key(customer)


async def _mark_forgotten(
    store: RedisStore, registry: CustomerRegistry, pseudonyms_by_key: Sequence[list[str]]
) -> tuple[int, bool]:
    """Record the customer as forgotten. Return since when (ms), and whether they were recorded before with
    nothing new since."""
    forgotten = await retry_refused(registry.forgotten)
    earlier_ms = [
        forgotten[name] for pseudonyms in pseudonyms_by_key for name in pseudonyms if name in forgotten
    ]
    keys = [customer_key(pseudonyms[-1]) for pseudonyms in pseudonyms_by_key]
    journeys = await retry_refused(lambda: store.read(keys))
    if earlier_ms and not any(journeys.values):
        return max(earlier_ms), True
    at_ms = await retry_refused(store.time_ms) + FORGET_LEAD_MS
    names = [pseudonyms[-1] for pseudonyms in pseudonyms_by_key]
    await retry_refused(lambda: registry.forget(names, at_ms))
    return at_ms, False


async def _wait_until_counted(store: RedisStore, at_ms: int) -> str:
    """Wait until everything published before `at_ms` is counted. Return a notice where that cannot be
    seen, else ""."""
    try:
        async with asyncio.timeout(FORGET_LEAD_MS / 1000 + CATCH_UP_TIMEOUT_S):
            return await wait_until_caught_up(store, at_ms)
    except TimeoutError:
        return "workers are still behind: they erase what they find of the customer within ten minutes"


async def wait_until_caught_up(store: RedisStore, at_ms: int) -> str:
    """Wait until all workers are past `at_ms`, and never return before that time: later facts of the id
    belong to somebody new. Return a notice where no worker runs, else ""."""
    while True:
        stored = await retry_refused(store.heartbeats)
        now_ms = await retry_refused(store.time_ms)
        heartbeats = {partition: heartbeat.known_at(now_ms) for partition, heartbeat in stored.items()}
        if now_ms <= at_ms:
            await asyncio.sleep((at_ms + 1 - now_ms) / 1000)
            continue
        if all(heartbeat.caught_up_at > at_ms for heartbeat in heartbeats.values()):
            return ""
        if all(
            0 < heartbeat.caught_up_at < now_ms - MINUTE for heartbeat in heartbeats.values()
        ):  # 0: not yet
            return "no worker is running: when one starts, it erases what it finds of the customer"
        await asyncio.sleep(_POLL_S)


async def _erase(store: RedisStore, settings: Settings, names: Collection[str]) -> ErasureResult:
    now_ms = await retry_refused(store.time_ms)
    erased = await erase_customer(store, names, now_ms) + await erase_everywhere(store, names, now_ms)
    raw_store = await retry_refused(lambda: RedisStore.connect(settings.redis_url(), ingest_center(settings)))
    try:
        return ErasureResult(erased, await erase_assemblies(raw_store, names, now_ms))
    finally:
        await raw_store.close()


async def erase_assemblies(raw_store: RedisStore, names: Collection[str], now_ms: int) -> int:
    """Erase the stored fragments of unfinished contacts that name the customer (`streamer ingest`). Return
    how many contacts that were."""
    erased_count = 0
    async for key, _ in find_documents_naming(raw_store, ASSEMBLIES, names):
        erased_count += 1
        while True:
            snapshot = await retry_refused(partial(raw_store.read, [key]))
            delete = partial(raw_store.replace, snapshot.version, [key], {key: None}, now_ms)
            if not any(snapshot.values) or await retry_refused(delete):
                break
    return erased_count


async def _erase_dead_letters(settings: Settings, names: Collection[str]) -> None:
    try:
        erased_count = await erase_letters(settings, names.__contains__)
    except (KafkaError, OSError) as error:
        click.echo(
            f"dead letters: not erased, Kafka failed ({str(error) or type(error).__name__}); run it again"
        )
    else:
        click.echo(f"dead letters: {erased_count:,} closed; Kafka deletes them when it compacts the topic")


def _erasure_summary(result: ErasureResult) -> str:
    contacts, facts, foreign_facts = result.erased
    if not any((contacts, facts, foreign_facts, result.assemblies)):
        return "nothing was stored of this customer; late events from before now will be erased"
    return (
        f"erased: {contacts:,} contacts with {facts:,} facts, {result.assemblies:,} unfinished contacts; "
        f"name and comment removed from {foreign_facts:,} facts in contacts of others. Totals are unchanged"
    )


async def _print_unreached(settings: Settings) -> None:
    """Print the places that cannot be erased from here: topics, append-only file, backups, exports."""
    try:
        retentions = await _topic_retentions(settings)
    except (KafkaError, OSError) as error:
        names = ", ".join(map(settings.kafka.names.on_broker, TOPICS))
        retentions = f"{names} (Kafka failed: {str(error) or type(error).__name__})"
    raw_topics = "".join(
        f", {settings.kafka.names.on_broker(raw_topic(name))}" for name in sorted(settings.sources)
    )
    click.echo(f"not erased: Kafka's topics, until their records expire: {retentions}{raw_topics}")
    click.echo("  a rebuild reads them again and erases this customer again; so do workers with late events")
    click.echo("not erased: append-only file of Redis, until it is rewritten (BGREWRITEAOF), and its backups")
    click.echo("not erased: exported files, and the systems the events came from")


async def _topic_retentions(settings: Settings) -> str:
    partition_counts = await count_partitions(settings.kafka)
    names = list(map(settings.kafka.names.on_broker, TOPICS))
    configs = await describe_topic_configs(settings.kafka, [name for name in names if partition_counts[name]])
    return ", ".join(f"{name}{_retention_text(configs.get(name, {}).get('retention.ms'))}" for name in names)


def _retention_text(retention_ms: str | None) -> str:
    if retention_ms is None:
        return ""
    return f" ({int(retention_ms) / DAY:.3g} days)" if int(retention_ms) >= 0 else " (unlimited)"
