"""The `streamer check` command: check settings, Kafka, Redis, clock, workers and receivers, a line each."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streamer.alerts.rules import rules
from streamer.delivery.alertmanager import Alertmanager, AlertmanagerAway, check_alertmanager
from streamer.delivery.caller import Caller
from streamer.delivery.reach import unreached
from streamer.delivery.receivers import check_receivers
from streamer.events.decoding import TOPICS
from streamer.events.rules import DAY, MINUTE, OtherRules, Rules, agree, written
from streamer.events.veil import key_of
from streamer.settings import OWN_KEY, Settings, SettingsError
from streamer.store.port import Heartbeat, Partition
from streamer.store.redis import CustomerRegistry, RedisStore, StoreUnfit
from streamer.web.screen import check_targets, check_views
from streamer.worker.kafka import configuration, kept_ms, partitions

APART_S: Final = 2.0
STALE_MS: Final = MINUTE
_PATIENCE_S: Final = 10.0
_ALTER: Final = "kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config {}"


class Finding(NamedTuple):
    """Result of one check. It prints as one line: verdict, message and, if something is wrong, the fix.

    >>> print(Finding("warn", "workers: no heartbeat ever received", "start `streamer worker`"))
    warn  workers: no heartbeat ever received  — start `streamer worker`
    """

    verdict: Literal["ok", "warn", "fail"]
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<4}  {self.what}{f'  — {self.fix}' if self.fix else ''}"


def run_check(load: Callable[[], Settings]) -> int:
    """Print all findings. Return the exit code: 1 if any check fails, else 0."""
    # An unreachable broker is reported below, once; aiokafka would log it again and again.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        settings = load()
        check_targets(settings)
        check_views(settings)
        rules(settings)
        check_receivers(settings)
        check_alertmanager(settings)
    except SettingsError as error:
        click.echo(Finding("fail", f"settings: {error}"))
        return 1
    return asyncio.run(_check(settings))


async def _check(settings: Settings) -> int:
    failed = False
    async for finding in examine(settings):
        failed |= finding.verdict == "fail"
        click.echo(finding)
    return int(failed)


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield the findings on Kafka, then Redis and its contents, then receivers and Alertmanager."""
    yield Finding("ok", "settings: valid")
    async for finding in _kafka(settings):
        yield finding
    async for finding in _redis(settings):
        yield finding
    async for finding in _told(settings):
        yield finding


# Kafka.


async def _kafka(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            found = await partitions(settings.kafka)
            known = await configuration(settings.kafka, [topic for topic in TOPICS if found[topic]])
    except (KafkaError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        yield Finding("fail", f"Kafka at {settings.kafka}: {reason}", "start it, or set STREAMER_KAFKA")
        return
    yield Finding("ok", f"Kafka at {settings.kafka}: reachable")
    yield _topics(found)
    if not known:
        yield Finding("ok", "topics: this broker does not report topic settings; retention not checked")
    for topic, configured in known.items():
        yield _times(topic, configured)
        yield _retention(topic, configured, settings.rules())


def _topics(found: Mapping[str, int]) -> Finding:
    missing = [topic for topic, number in found.items() if not number]
    if missing:
        return Finding("warn", f"topics: {', '.join(missing)} do not exist", "`streamer worker` creates them")
    numbers = ", ".join(f"{topic} {number}" for topic, number in found.items())
    return Finding("ok", f"topics: all exist; partitions: {numbers}")


def _times(topic: str, configured: Mapping[str, str]) -> Finding:
    kind = configured.get("message.timestamp.type", "CreateTime")
    if kind == "CreateTime":
        return Finding("ok", f"{topic}: record timestamps are set by the producer")
    fix = _ALTER.format(topic, "message.timestamp.type=CreateTime")
    return Finding("fail", f"{topic}: record timestamps are set on arrival by the broker ({kind})", fix)


def _retention(topic: str, configured: Mapping[str, str], rules: Rules) -> Finding:
    kept = int(configured.get("retention.ms", -1))
    what = f"{topic}: retention is {'unlimited' if kept < 0 else f'{kept / DAY:.3g} days'}"
    wanted = kept_ms(rules)
    fix = _ALTER.format(topic, f"retention.ms={wanted}")
    if 0 <= kept < rules.horizon_ms:
        return Finding("fail", f"{what}, less than the horizon of {rules.horizon_ms / DAY:.3g} days", fix)
    if 0 <= kept < wanted:
        return Finding("warn", f"{what}; a full rebuild needs {wanted / DAY:.3g} days", fix)
    return Finding("ok", what)


# Redis and the data stored there.


async def _redis(settings: Settings) -> AsyncIterator[Finding]:
    try:
        store = await RedisStore.connect(settings.redis, settings.center)
    except StoreUnfit as error:
        yield Finding("fail", f"Redis: {error}")
        return
    except (RedisError, OSError) as error:
        yield Finding("fail", f"Redis: {error}", "start it, or set STREAMER_REDIS")
        return
    try:
        async for finding in _state(store, settings):
            yield finding
    except (RedisError, OSError) as error:
        yield Finding("fail", f"Redis: {error}", "see the log of Redis")
    finally:
        await store.close()


async def _state(store: RedisStore, settings: Settings) -> AsyncIterator[Finding]:
    facts = await store.facts()
    yield Finding("ok", f"Redis: version {facts.version}, no eviction")
    if facts.aof:
        yield Finding("ok", "Redis: persistent (AOF is on)")
    else:
        fix = "CONFIG SET appendonly yes, and set it in redis.conf"
        yield Finding("warn", "Redis: a restart loses all data and counts again from Kafka (AOF is off)", fix)
    yield _clock((time.time_ns() // 1_000_000 - facts.time_ms) / 1000)
    yield _rules(await store.rules(), written(settings.rules()))
    yield _customers(settings, await CustomerRegistry(store, settings.center).forgotten())
    yield _workers(await store.heartbeats(), facts.time_ms)


def _clock(apart_s: float) -> Finding:
    what = f"clock: {abs(apart_s):.1f} s {'behind' if apart_s < 0 else 'ahead of'} the clock of Redis"
    if abs(apart_s) <= APART_S:
        return Finding("ok", what)
    return Finding("warn", what, "synchronize both with chrony or ntpd")


def _rules(stored: bytes | None, own: bytes) -> Finding:
    if stored is None:
        return Finding("ok", "rules: nothing counted yet")
    try:
        agree(stored, own)
    except OtherRules as error:
        return Finding("fail", f"rules: {error}")
    return Finding("ok", "rules: the settings match the stored numbers")


def _customers(settings: Settings, forgotten: Iterable[str]) -> Finding:
    if not settings.customer_keys:
        fix = 'set STREAMER_CUSTOMER_KEYS=\'{"1": "…"}\' (`streamer secret key`), then `streamer rebuild`'
        return Finding("warn", "customers: the pseudonym key is stored in Redis, beside the pseudonyms", fix)
    known = {OWN_KEY, *settings.customer_keys}
    if lost := {key_of(name) for name in forgotten} - known:
        what = f"customers: some were forgotten under key {', '.join(sorted(lost))}, which is not set"
        return Finding("warn", what, "add it to customer_keys, else a rebuild brings them back")
    return Finding("ok", f"customers: pseudonyms are made with key {settings.rules().customer_key}")


def _workers(beats: Mapping[Partition, Heartbeat], now_ms: int) -> Finding:
    if not beats:
        return Finding("warn", "workers: no heartbeat ever received", "start `streamer worker`")
    late = {p: beat for p, beat in beats.items() if now_ms - beat.caught_up_at > STALE_MS}
    if not late:
        return Finding("ok", f"workers: {len(beats)} partitions are up to date")
    partition, beat = min(late.items(), key=lambda item: item[1].caught_up_at)
    since = f"{(now_ms - beat.caught_up_at) // 1000} s ago" if beat.caught_up_at else "never"
    what = f"workers: {len(late)} of {len(beats)} partitions are not up to date; {partition}: {since}"
    return Finding("warn", f"{what}, {beat.lag} records behind", "start `streamer worker`, or more of them")


# Where alerts are sent.


async def _told(settings: Settings) -> AsyncIterator[Finding]:
    """Check the receivers by connecting to them; nothing is sent. `streamer alerts try` sends a test."""
    if not settings.receivers and not settings.delivery.alertmanager:
        yield Finding("ok", "alerts: shown on the pages only, no [receivers] or [delivery] is set")
    for name, receiver in settings.receivers.items():
        reason = await unreached(receiver.url.get_secret_value())
        if reason is None:
            yield Finding("ok", f"receiver {name}: can be reached (`streamer alerts try {name}` tells it)")
        else:
            yield Finding("fail", f"receiver {name}: {reason}", f"correct receivers.{name}.url, or start it")
    if settings.delivery.alertmanager:
        yield await _alertmanager(settings)


async def _alertmanager(settings: Settings) -> Finding:
    caller = Caller()
    try:
        version = await Alertmanager(settings.delivery.alertmanager, caller).version()
    except AlertmanagerAway as error:
        return Finding("fail", f"Alertmanager: {error}", "correct delivery.alertmanager, or start it")
    finally:
        await caller.close()
    teller = {"api": "`streamer serve`", "prometheus": "Prometheus, by the derived rules"}
    return Finding("ok", f"Alertmanager: version {version}, alerts sent by {teller[settings.delivery.via]}")
