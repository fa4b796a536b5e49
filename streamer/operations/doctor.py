"""The `streamer check` command: check settings, Kafka, Redis, clock, workers and receivers, a line each."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streamer.delivery.alertmanager_client import AlertmanagerClient, AlertmanagerUnavailable
from streamer.delivery.connectivity import connection_error
from streamer.delivery.http_client import HttpClient
from streamer.events.counting_rules import (
    DAY,
    HOUR,
    MINUTE,
    CountingRules,
    CountingRulesMismatch,
    encode_rules,
    require_same_rules,
)
from streamer.events.decoding import TOPICS
from streamer.events.models import CONTACT_STATES
from streamer.operations.validation import validate_server
from streamer.panes.live_index import LiveContact, add_contacts
from streamer.panes.pane_keys import LIVE_CONTACTS, SEPARATOR
from streamer.privacy.pseudonyms import key_id_of
from streamer.readings.live_state import LiveLimits, contact_start_ms, is_contact_lost
from streamer.runtime.clock import MAX_CLOCK_SKEW_MS, wall_clock_ms
from streamer.runtime.redis_errors import redis_error_text, redis_unavailability
from streamer.settings import (
    CENTER_KEY_ID,
    KafkaSettings,
    MailSettings,
    ReceiverSettings,
    Settings,
    SettingsError,
    ignored_variables,
)
from streamer.store.port import Heartbeat, Partition
from streamer.store.redis import RedisRegistry, RedisStore, StoreUnfit
from streamer.worker.kafka import count_partitions, describe_topic_configs, topic_retention_ms
from streamer.worker.kafka_connection import KafkaUnavailable
from streamer.worker.kafka_rights import ingest_rights, require_rights, worker_rights

STALE_AFTER_MS: Final = MINUTE
_KAFKA_TIMEOUT_S: Final = 10.0
_NAMED_CONTACTS: Final = 3
_CLOCK_FIX: Final = "synchronize both with chrony or ntpd"
_ALTER_COMMAND: Final = "kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config {}"


class CheckFinding(NamedTuple):
    """Result of one check. It prints as one line: verdict, message and, if something is wrong, the fix.

    >>> print(CheckFinding("warn", "workers: no heartbeat ever received", "start `streamer worker`"))
    warn  workers: no heartbeat ever received  — start `streamer worker`
    """

    verdict: Literal["ok", "warn", "fail"]
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<4}  {self.message}{f'  — {self.fix}' if self.fix else ''}"


def run_check(load: Callable[[], Settings]) -> int:
    """Print all findings. Return the exit code: 1 if any check fails, else 0."""
    # An unreachable broker is reported below, once; aiokafka would log it again and again.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        settings = load()
        validate_server(settings)
    except SettingsError as error:
        click.echo(CheckFinding("fail", f"settings: {error}"))
        return 1
    return asyncio.run(_print_findings(settings))


async def _print_findings(settings: Settings) -> int:
    failed = False
    async for finding in check_infrastructure(settings):
        failed |= finding.verdict == "fail"
        click.echo(finding)
    return int(failed)


async def check_infrastructure(settings: Settings) -> AsyncIterator[CheckFinding]:
    """Yield the findings on Kafka, then Redis and its contents, then receivers and Alertmanager."""
    yield CheckFinding("ok", "settings: valid")
    if ignored := ignored_variables():
        yield CheckFinding("warn", f"settings: no such setting: {', '.join(ignored)}", "correct the name")
    async for finding in _check_kafka(settings):
        yield finding
    async for finding in _check_redis(settings):
        yield finding
    async for finding in _check_notifications(settings):
        yield finding


# Kafka.


async def _check_kafka(settings: Settings) -> AsyncIterator[CheckFinding]:
    kafka = settings.kafka
    try:
        async with asyncio.timeout(_KAFKA_TIMEOUT_S):
            await require_rights(kafka, worker_rights(settings) + ingest_rights(settings, settings.sources))
            partition_counts = await count_partitions(kafka)
            names = [name for name in map(kafka.names.on_broker, TOPICS) if partition_counts[name]]
            configs = await describe_topic_configs(kafka, names)
    except KafkaUnavailable as error:
        yield CheckFinding("fail", error.problem, error.fix)
        return
    except SettingsError as error:
        yield CheckFinding("fail", f"settings: {error}")
        return
    except (KafkaError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        yield CheckFinding(
            "fail", f"Kafka at {kafka.bootstrap_servers}: {reason}", "start it, or set STREAMER_KAFKA"
        )
        return
    yield CheckFinding("ok", f"Kafka at {kafka.bootstrap_servers}: reachable{_login_text(kafka)}")
    yield _topics_finding(partition_counts)
    if not configs:
        yield CheckFinding("ok", "topics: this broker does not report topic settings; retention not checked")
    for topic, config in configs.items():
        yield _timestamps_finding(topic, config)
        yield _retention_finding(topic, config, settings.counting_rules())


def _login_text(kafka: KafkaSettings) -> str:
    """Return how the connection is secured; nothing for PLAINTEXT."""
    if kafka.security_protocol == "PLAINTEXT":
        return ""
    mechanism = f", {kafka.sasl_mechanism}" if kafka.sasl_mechanism is not None else ""
    return f" by {kafka.security_protocol}{mechanism}"


def _topics_finding(partition_counts: Mapping[str, int]) -> CheckFinding:
    missing = [topic for topic, count in partition_counts.items() if not count]
    if missing:
        return CheckFinding(
            "warn", f"topics: {', '.join(missing)} do not exist", "`streamer worker` creates them"
        )
    summary = ", ".join(f"{topic} {count}" for topic, count in partition_counts.items())
    return CheckFinding("ok", f"topics: all exist; partitions: {summary}")


def _timestamps_finding(topic: str, config: Mapping[str, str]) -> CheckFinding:
    timestamp_type = config.get("message.timestamp.type", "CreateTime")
    if timestamp_type == "CreateTime":
        return CheckFinding("ok", f"{topic}: record timestamps are set by the producer")
    fix = _ALTER_COMMAND.format(topic, "message.timestamp.type=CreateTime")
    return CheckFinding(
        "fail", f"{topic}: record timestamps are set on arrival by the broker ({timestamp_type})", fix
    )


def _retention_finding(topic: str, config: Mapping[str, str], rules: CountingRules) -> CheckFinding:
    retention_ms = int(config.get("retention.ms", -1))
    message = f"{topic}: retention is {'unlimited' if retention_ms < 0 else f'{retention_ms / DAY:.3g} days'}"
    needed_ms = topic_retention_ms(rules)
    fix = _ALTER_COMMAND.format(topic, f"retention.ms={needed_ms}")
    if 0 <= retention_ms < rules.horizon_ms:
        return CheckFinding(
            "fail", f"{message}, less than the horizon of {rules.horizon_ms / DAY:.3g} days", fix
        )
    if 0 <= retention_ms < needed_ms:
        return CheckFinding("warn", f"{message}; a full rebuild needs {needed_ms / DAY:.3g} days", fix)
    return CheckFinding("ok", message)


# Redis and the data stored there.


async def _check_redis(settings: Settings) -> AsyncIterator[CheckFinding]:
    try:
        store = await RedisStore.connect(settings.redis_url(), settings.center)
    except StoreUnfit as error:
        yield CheckFinding("fail", f"Redis: {error}")
        return
    except (RedisError, OSError) as error:
        yield _redis_failure(error, "start it, or set STREAMER_REDIS")
        return
    try:
        async for finding in _check_stored_state(store, settings):
            yield finding
    except (RedisError, OSError) as error:
        yield _redis_failure(error, "see the log of Redis")
    finally:
        await store.close()


_REDIS_FIXES: Final[Mapping[str, str]] = {
    "oom": "raise maxmemory, or lower `retention`",
    "misconf": "free space on its disk, see the log of Redis",
    "readonly": "set STREAMER_REDIS to the primary",
    "masterdown": "set STREAMER_REDIS to the primary",
    "busy": "wait for the script, or SCRIPT KILL",
    "loading": "wait until it has loaded its data",
    "timeout": "look for long scripts and commands (SLOWLOG), and at its network",
    "noreplicas": "start its replicas, or lower min-replicas-to-write",
    "clusterdown": "see CLUSTER INFO on its nodes",
}
"""Fixes by the reason why Redis answers "not now"."""


def _redis_failure(error: Exception, fix: str) -> CheckFinding:
    reason = redis_unavailability(error)
    waiting = "; workers wait for it" if reason in _REDIS_FIXES else ""
    return CheckFinding(
        "fail",
        f"Redis: {f'{reason}: ' if reason in _REDIS_FIXES else ''}{redis_error_text(error)}{waiting}",
        _REDIS_FIXES.get(reason or "", fix),
    )


async def _writes_finding(store: RedisStore) -> CheckFinding:
    try:
        await store.require_writable()
    except RedisError as error:
        return _redis_failure(error, "see the log of Redis")
    return CheckFinding("ok", "Redis: takes writes")


async def _check_stored_state(store: RedisStore, settings: Settings) -> AsyncIterator[CheckFinding]:
    server = await store.server_info()
    yield CheckFinding("ok", f"Redis: version {server.version}, no eviction")
    yield await _writes_finding(store)
    if server.has_aof:
        yield CheckFinding("ok", "Redis: persistent (AOF is on)")
    else:
        fix = "CONFIG SET appendonly yes, and set it in redis.conf"
        yield CheckFinding(
            "warn", "Redis: a restart loses all data and counts again from Kafka (AOF is off)", fix
        )
    yield _clock_finding((wall_clock_ms() - server.time_ms) / 1000)
    yield _rules_finding(await store.rules(), encode_rules(settings.counting_rules()))
    yield _customer_keys_finding(settings, await RedisRegistry(store, settings.center).forgotten())
    yield _shared_ids_finding(await store.counters(), settings.shared_id_limit)
    contacts = add_contacts(await store.deltas(LIVE_CONTACTS))
    yield _lost_contacts_finding(contacts.values(), LiveLimits(*settings.live_limits_ms()), server.time_ms)
    heartbeats = await store.heartbeats()
    yield _workers_finding(heartbeats, server.time_ms)
    yield _worker_clocks_finding(heartbeats, server.time_ms)


def _clock_finding(skew_s: float) -> CheckFinding:
    message = f"clock: {_skew_text(skew_s)} the clock of Redis"
    if abs(skew_s) <= MAX_CLOCK_SKEW_MS / 1000:
        return CheckFinding("ok", message)
    return CheckFinding("warn", message, _CLOCK_FIX)


def _skew_text(skew_s: float) -> str:
    return f"{abs(skew_s):.1f} s {'behind' if skew_s < 0 else 'ahead of'}"


def _rules_finding(stored: bytes | None, configured: bytes) -> CheckFinding:
    if stored is None:
        return CheckFinding("ok", "rules: nothing counted yet")
    try:
        require_same_rules(stored, configured)
    except CountingRulesMismatch as error:
        return CheckFinding("fail", f"rules: {error}")
    return CheckFinding("ok", "rules: the settings match the stored numbers")


def _customer_keys_finding(settings: Settings, forgotten: Iterable[str]) -> CheckFinding:
    if not settings.customer_keys:
        fix = 'set STREAMER_CUSTOMER_KEYS=\'{"1": "…"}\' (`streamer secret key`), then `streamer rebuild`'
        return CheckFinding(
            "warn", "customers: the pseudonym key is stored in Redis, beside the pseudonyms", fix
        )
    key_ids = {CENTER_KEY_ID, *settings.customer_keys}
    if lost_key_ids := {key_id_of(name) for name in forgotten} - key_ids:
        message = (
            f"customers: some were forgotten under key {', '.join(sorted(lost_key_ids))}, which is not set"
        )
        return CheckFinding("warn", message, "add it to customer_keys, else a rebuild brings them back")
    return CheckFinding(
        "ok", f"customers: pseudonyms are made with key {settings.counting_rules().customer_key}"
    )


def _shared_ids_finding(counters: Mapping[str, int], limit: int) -> CheckFinding:
    """Tell of ids that many share. A switchboard's customer id is usual, a contact id of all is a fault.

    >>> _shared_ids_finding({}, 500).message
    'shared ids: none'
    """
    counts = {
        "customers": counters.get("crowds", 0),
        "contacts": counters.get(f"shared{SEPARATOR}contact", 0),
        "surveys": counters.get(f"shared{SEPARATOR}survey", 0),
    }
    found = ", ".join(f"{count} of {kind}" for kind, count in counts.items() if count)
    if not found:
        return CheckFinding("ok", "shared ids: none")
    message = f"shared ids: {found}, named more than {limit} times; what names them stands alone"
    if not (counts["contacts"] or counts["surveys"]):
        return CheckFinding("ok", message)
    return CheckFinding("warn", message, "send the id of each contact and survey, or leave the field out")


def _lost_contacts_finding(contacts: Iterable[LiveContact], limits: LiveLimits, now_ms: int) -> CheckFinding:
    """Name the contacts that have been under way for longer than the limit: nobody sent their ends."""
    lost_contacts = sorted(
        (contact for contact in contacts if is_contact_lost(contact, limits, now_ms)), key=contact_start_ms
    )
    if not lost_contacts:
        return CheckFinding("ok", "contacts under way: none lost")
    named = ", ".join(
        f"{contact.contact_id}{f' of {contact.source}' if contact.source else ''} "
        f"({CONTACT_STATES[contact.state]} for {(now_ms - contact_start_ms(contact)) // HOUR} h)"
        for contact in lost_contacts[:_NAMED_CONTACTS]
    )
    message = f"contacts under way: {len(lost_contacts)} lost, longer than live_limit; the oldest: {named}"
    return CheckFinding("warn", message, "let the source send `ended` or call-completed")


def _workers_finding(heartbeats: Mapping[Partition, Heartbeat], now_ms: int) -> CheckFinding:
    if not heartbeats:
        return CheckFinding("warn", "workers: no heartbeat ever received", "start `streamer worker`")
    heartbeats = {partition: heartbeat.known_at(now_ms) for partition, heartbeat in heartbeats.items()}
    late_heartbeats = {
        partition: heartbeat
        for partition, heartbeat in heartbeats.items()
        if now_ms - heartbeat.caught_up_at > STALE_AFTER_MS
    }
    if not late_heartbeats:
        return CheckFinding("ok", f"workers: {len(heartbeats)} partitions are up to date")
    partition, heartbeat = min(late_heartbeats.items(), key=lambda item: item[1].caught_up_at)
    last_seen = f"{(now_ms - heartbeat.caught_up_at) // 1000} s ago" if heartbeat.caught_up_at else "never"
    message = (
        f"workers: {len(late_heartbeats)} of {len(heartbeats)} partitions are not up to date; "
        f"{partition}: {last_seen}"
    )
    return CheckFinding(
        "warn", f"{message}, {heartbeat.lag} records behind", "start `streamer worker`, or more of them"
    )


def _worker_clocks_finding(heartbeats: Mapping[Partition, Heartbeat], now_ms: int) -> CheckFinding:
    """Report the worker whose clock differs most from that of Redis, by which ages are told."""
    ahead_ms = {
        partition: heartbeat.clock_ahead_ms
        if heartbeat.known_at(now_ms) == heartbeat
        else heartbeat.caught_up_at - now_ms
        for partition, heartbeat in heartbeats.items()
    }
    partition = max(ahead_ms, key=lambda name: abs(ahead_ms[name]), default=None)
    if partition is None or abs(ahead_ms[partition]) <= MAX_CLOCK_SKEW_MS:
        return CheckFinding("ok", "clocks of the workers: as the clock of Redis")
    skew_s = ahead_ms[partition] / 1000
    message = f"clock of the worker of {partition}: {_skew_text(skew_s)} the clock of Redis"
    return CheckFinding("warn", message, _CLOCK_FIX)


# Where alerts are sent.


async def _check_notifications(settings: Settings) -> AsyncIterator[CheckFinding]:
    """Check the receivers by connecting to them; nothing is sent. `streamer alerts try` sends a test."""
    if not settings.receivers and not settings.delivery.alertmanager:
        yield CheckFinding("ok", "alerts: shown on the pages only, no [receivers] or [delivery] is set")
    for name, receiver in settings.receivers.items():
        server = f"the mail server of receiver {name}" if receiver.mail else f"receiver {name}"
        reason = await connection_error(_receiver_url(receiver, settings.mail))
        if reason is None:
            yield CheckFinding("ok", f"{server}: can be reached (`streamer alerts try {name}` tells it)")
        else:
            yield CheckFinding(
                "fail",
                f"{server}: {reason}",
                f"correct {'mail.host' if receiver.mail else f'receivers.{name}.url'}, or start it",
            )
    if settings.delivery.alertmanager:
        yield await _alertmanager_finding(settings)


def _receiver_url(receiver: ReceiverSettings, mail: MailSettings) -> str:
    """Return the address to connect to, which may hold a secret."""
    if receiver.url is not None:
        return receiver.url.get_secret_value()
    return f"{'https' if mail.security == 'tls' else 'http'}://{mail.host}:{mail.port}"


async def _alertmanager_finding(settings: Settings) -> CheckFinding:
    http_client = HttpClient()
    try:
        version = await AlertmanagerClient(settings.delivery.alertmanager, http_client).version()
    except AlertmanagerUnavailable as error:
        return CheckFinding("fail", f"Alertmanager: {error}", "correct delivery.alertmanager, or start it")
    finally:
        await http_client.close()
    senders = {"api": "`streamer serve`", "prometheus": "Prometheus, by the generated rules"}
    return CheckFinding(
        "ok", f"Alertmanager: version {version}, alerts sent by {senders[settings.delivery.alertmanager_via]}"
    )
