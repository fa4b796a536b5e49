"""Tests that `streamer check` finds each planted defect and names the fix."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr
from redis.crc import key_slot

from streamer.events.counting_rules import DAY, HOUR, CountingRules, encode_rules
from streamer.events.models import ContactState
from streamer.operations import doctor
from streamer.operations.doctor import CheckFinding, _shared_ids_finding, check_infrastructure
from streamer.runtime.retry import OUTAGES, retry_refused
from streamer.settings import Settings, load_settings
from streamer.store.layout import layout_key
from streamer.store.port import Heartbeat, Partition
from streamer.store.redis import RedisRegistry, RedisStore
from streamer.worker import kafka
from streamer.worker.forgotten_customers import new_customer_key
from tests.counting import partition_processor, processing_context
from tests.messages import record
from tests.parts.broker import Broker
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port

NOW = 1_800_000_000_000
PLACE = Partition("call-completed", 0)


async def found(settings: Settings) -> list[CheckFinding]:
    return [finding async for finding in check_infrastructure(settings)]


def bad(findings: list[CheckFinding]) -> list[str]:
    return [str(finding) for finding in findings if finding.verdict != "ok"]


def about(findings: list[CheckFinding], what: str) -> CheckFinding:
    (finding,) = [finding for finding in findings if finding.message.startswith(what)]
    return finding


async def test_a_healthy_center_with_no_worker_yet_gets_one_warning(
    broker: Broker, fresh_redis: RedisServer, center: str
) -> None:
    await kafka.ensure_topics(broker.settings)
    async with asyncio.timeout(10):
        while not all((await kafka.count_partitions(broker.settings)).values()):  # noqa: ASYNC110 - Kafka tells late
            await asyncio.sleep(0.1)
    settings = load_settings(
        kafka=broker.address, redis=fresh_redis.url, center=center, customer_keys={"1": new_customer_key()}
    )
    findings = await found(settings)
    assert bad(findings) == ["warn  workers: no heartbeat ever received  — start `streamer worker`"]
    assert "call-completed 4" in about(findings, "topics: all exist").message


async def test_a_key_beside_what_it_hides_is_a_warning(broker: Broker, store_url: str, center: str) -> None:
    finding = about(
        await found(load_settings(kafka=broker.address, redis=store_url, center=center)), "customers"
    )
    assert (finding.verdict, finding.message) == (
        "warn",
        "customers: the pseudonym key is stored in Redis, beside the pseudonyms",
    )
    assert "STREAMER_CUSTOMER_KEYS" in finding.fix


async def test_a_key_that_some_were_forgotten_under_and_that_is_no_longer_set_is_a_warning(
    broker: Broker, store_url: str, center: str
) -> None:
    store = await RedisStore.connect(store_url, center)
    await RedisRegistry(store, center).forget(["~1~AAAAAAAAAAAAAAAA"], NOW)
    await store.close()
    settings = load_settings(kafka=broker.address, redis=store_url, center=center)
    rotated = settings.model_copy(update={"customer_keys": {"2": SecretStr(new_customer_key())}})
    both = settings.model_copy(update={"customer_keys": {key: SecretStr(new_customer_key()) for key in "12"}})
    assert "forgotten under key 1, which is not set" in about(await found(rotated), "customers").message
    assert about(await found(both), "customers") == CheckFinding(
        "ok", "customers: pseudonyms are made with key 2"
    )


async def test_missing_topics_are_a_warning(fresh_broker: Broker, store_url: str, center: str) -> None:
    findings = await found(load_settings(kafka=fresh_broker.address, redis=store_url, center=center))
    finding = about(findings, "topics: call-completed")
    assert (finding.verdict, finding.fix) == ("warn", "`streamer worker` creates them")


async def test_a_store_that_forgets_on_a_restart_is_a_warning(
    broker: Broker, store_url: str, center: str
) -> None:
    findings = await found(load_settings(kafka=broker.address, redis=store_url, center=center))
    assert about(findings, "Redis: a restart loses all data").verdict == "warn"


async def test_kafka_away_fails_and_redis_is_looked_at_all_the_same(store_url: str, center: str) -> None:
    findings = await found(load_settings(kafka=f"127.0.0.1:{free_port()}", redis=store_url, center=center))
    assert (about(findings, "Kafka at").verdict, about(findings, "Kafka at").fix) == (
        "fail",
        "start it, or set STREAMER_KAFKA",
    )
    assert about(findings, "Redis: version").verdict == "ok"


async def test_redis_away_fails_without_telling_its_password(broker: Broker, center: str) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    findings = await found(load_settings(kafka=broker.address, redis=url, center=center))
    assert about(findings, "Redis").verdict == "fail"
    assert "secret" not in str(findings)


async def test_a_store_that_evicts_keys_fails_with_the_setting(
    broker: Broker, fresh_redis: RedisServer, center: str
) -> None:
    async with fresh_redis.client() as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
    finding = about(
        await found(load_settings(kafka=broker.address, redis=fresh_redis.url, center=center)), "Redis"
    )
    assert finding.verdict == "fail"
    assert "CONFIG SET maxmemory-policy noeviction" in finding.message


async def test_other_rules_fail_and_the_same_do_not(broker: Broker, store_url: str, center: str) -> None:
    store = await RedisStore.connect(store_url, center)
    settings = load_settings(kafka=broker.address, redis=store_url, center=center)
    await store.set_rules(encode_rules(settings.counting_rules()))
    await store.close()
    assert about(await found(settings), "rules").verdict == "ok"
    other = settings.model_copy(update={"service_level": timedelta(seconds=30)})
    finding = about(await found(other), "rules")
    assert finding.verdict == "fail"
    assert "service_level: stored" in finding.message
    assert "`streamer rebuild`" in finding.message


async def test_workers_that_fell_silent_or_behind_are_a_warning(
    broker: Broker, store_url: str, center: str
) -> None:
    settings = load_settings(kafka=broker.address, redis=store_url, center=center)
    store = await RedisStore.connect(store_url, center)
    now = (await store.server_info()).time_ms
    await store.beat({PLACE: Heartbeat(now, 0, now)})
    assert about(await found(settings), "workers").verdict == "ok"
    await store.beat({PLACE._replace(number=1): Heartbeat(now - 90_000, 7, now)})
    await store.close()
    finding = about(await found(settings), "workers")
    assert finding.verdict == "warn"
    assert "1 of 2 partitions are not up to date; call-completed:1: 9" in finding.message
    assert "7 records behind" in finding.message


@pytest.mark.parametrize(
    ("sentence", "heartbeat", "said"),
    [
        ("its own report", Heartbeat(NOW, 0, NOW, 600_000), "600.0 s ahead of"),
        ("behind", Heartbeat(NOW, 0, NOW, -2_001), "2.0 s behind"),
        ("a heartbeat from the future", Heartbeat(NOW + 600_000, 0, NOW), "600.0 s ahead of"),
        ("two seconds", Heartbeat(NOW, 0, NOW, 2_000), ""),
    ],
)
def test_a_worker_whose_clock_is_wrong_is_named(sentence: str, heartbeat: Heartbeat, said: str) -> None:
    beats = {PLACE: Heartbeat(NOW, 0, NOW, 5), PLACE._replace(number=1): heartbeat}
    finding = doctor._worker_clocks_finding(beats, NOW)
    assert finding.verdict == ("warn" if said else "ok"), sentence
    assert (f"call-completed:1: {said} the clock of Redis" in finding.message) == bool(said)


def test_a_heartbeat_from_the_future_is_no_worker_that_is_up_to_date() -> None:
    finding = doctor._workers_finding({PLACE: Heartbeat(NOW + 600_000, 0, NOW)}, NOW)
    assert finding.verdict == "warn"
    assert "call-completed:0: never" in finding.message


@pytest.mark.parametrize(("apart_s", "verdict"), [(2.0, "ok"), (-2.0, "ok"), (2.1, "warn"), (-2.1, "warn")])
def test_clocks_more_than_two_seconds_apart_are_a_warning(apart_s: float, verdict: str) -> None:
    assert doctor._clock_finding(apart_s).verdict == verdict


@pytest.mark.parametrize(
    ("days", "verdict"), [(34.9, "fail"), (35, "warn"), (99.9, "warn"), (100, "ok"), (None, "ok")]
)
def test_records_must_be_kept_as_long_as_the_horizon_and_should_be_for_a_rebuild(
    days: float | None, verdict: str
) -> None:
    kept = "-1" if days is None else str(round(days * DAY))
    assert (
        doctor._retention_finding("call-completed", {"retention.ms": kept}, CountingRules()).verdict
        == verdict
    )


async def test_a_topic_that_stamps_arrival_fails_where_the_broker_tells(
    fresh_broker: Broker, store_url: str, center: str
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=fresh_broker.address)
    await admin.start()
    stamped = {"message.timestamp.type": "LogAppendTime", "retention.ms": "1000"}
    await admin.create_topics([NewTopic("call-completed", 1, 1, topic_configs=stamped)])
    await admin.close()
    findings = await found(load_settings(kafka=fresh_broker.address, redis=store_url, center=center))
    told = [str(finding) for finding in findings if finding.message.startswith("call-completed: ")]
    if told:
        assert [line[:4] for line in told] == ["fail", "fail"]
        assert "message.timestamp.type=CreateTime" in told[0]
    else:
        assert about(findings, "topics: this broker does not report").verdict == "ok"


async def test_a_cluster_is_looked_at_like_one_server(redis_cluster: RedisCluster, center: str) -> None:
    store = await RedisStore.connect(redis_cluster.url, center)
    facts = await store.server_info()
    await store.close()
    assert facts.has_aof
    assert facts.time_ms > NOW - 10 * 365 * DAY


async def test_a_cluster_without_the_slot_of_the_center_is_named_and_commands_wait_until_it_has_it(
    redis_cluster: RedisCluster, center: str
) -> None:
    slot, settings = key_slot(layout_key(center)), load_settings(redis=redis_cluster.url, center=center)
    store = await RedisStore.connect(redis_cluster.url, center)
    await store.set_rules(b"{}")
    owner = await redis_cluster.owner(slot)
    others = [node for node in redis_cluster.nodes if node is not owner]
    for nodes in ([owner], others):  # who is asked first may still name the owner, or know of none
        for node in nodes:
            async with node.client() as client:
                await client.execute_command("CLUSTER", "DELSLOTS", slot)
        (finding,) = [finding async for finding in doctor._check_redis(settings)]
        assert "Redis: clusterdown: " in finding.message
        assert finding.fix == "see CLUSTER INFO on its nodes"
    waiting = asyncio.create_task(retry_refused(store.rules))
    async with asyncio.timeout(30):
        while "clusterdown" not in OUTAGES.reasons():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with owner.client() as client:
        await client.execute_command("CLUSTER", "ADDSLOTS", slot)
    assert await asyncio.wait_for(waiting, 30) == b"{}"
    await store.close()
    await redis_cluster.until_whole()


def test_the_command_prints_a_line_each_and_fails_with_what_fails(store_url: str, center: str) -> None:
    ours = {"KAFKA": f"127.0.0.1:{free_port()}", "REDIS": store_url, "CENTER": center}
    env = os.environ | {f"STREAMER_{name}": value for name, value in ours.items()}
    command = [sys.executable, "-m", "streamer", "check"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    assert {line[:6] for line in done.stdout.splitlines()} == {"ok    ", "warn  ", "fail  "}
    done = subprocess.run(
        command, env=env | {"STREAMER_HORIZON": "soon"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("fail  settings: horizon = 'soon': expected a duration")


def test_a_contact_id_that_many_share_is_a_warning_and_a_shared_customer_is_not() -> None:
    customers, contacts = {"crowds": 2}, {"crowds": 2, "shared\x1fcontact": 1}
    message = "shared ids: 2 of customers, named more than 500 times; what names them stands alone"
    assert _shared_ids_finding(customers, 500) == CheckFinding("ok", message)
    assert _shared_ids_finding(contacts, 500) == CheckFinding(
        "warn",
        "shared ids: 2 of customers, 1 of contacts, named more than 500 times; what names them stands alone",
        "send the id of each contact and survey, or leave the field out",
    )


async def test_contacts_whose_end_was_never_sent_are_named(
    broker: Broker, store_url: str, center: str
) -> None:
    """Four of five wait for longer than the limit of their channel."""
    settings = load_settings(kafka=broker.address, redis=store_url, center=center)
    store = await RedisStore.connect(store_url, center)
    now_ms = await store.time_ms()
    waits = {"c1": 5, "c2": 3, "c3": 50, "c4": 6, "c5": 7}
    events = [
        ContactState(
            contact_id=name, state="queued", at=now_ms - hours * HOUR, queue="billing", channel="voice"
        )
        for name, hours in waits.items()
    ]
    shared = processing_context(store, CountingRules(), now_ms)
    processor = await partition_processor(shared, "contact-state", 0)
    await processor.count([record(event, 0, number, event.time) for number, event in enumerate(events)], 5)
    await store.close()
    finding = about(await found(settings), "contacts under way")
    assert str(finding).startswith(
        "warn  contacts under way: 4 lost, longer than live_limit; the oldest: c3 (queued for 50 h), "
        "c5 (queued for 7 h), c4 (queued for 6 h)  — "
    )
    assert (
        about(
            await found(
                load_settings(kafka=broker.address, redis=store_url, center=center, live_limit="60h")
            ),
            "contacts under way",
        ).verdict
        == "ok"
    )
