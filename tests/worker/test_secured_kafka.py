"""Tests that Kafka is reached over each secured listener, and that each refusal is one clear line."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from streamer.events.decoding import TOPICS
from streamer.operations.doctor import CheckFinding, check_infrastructure
from streamer.panes.pane_keys import SEPARATOR
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import KafkaSettings, SettingsError, load_settings
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics, start_producer
from streamer.worker.kafka_connection import ClientCredentials, KafkaUnavailable, TokenRefused
from streamer.worker.run import run_worker
from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.ingest.command_process import CommandProcess
from tests.ingest.test_ingest_process import results
from tests.parts.certificates import CertificateFolder
from tests.parts.redis_server import RedisServer
from tests.parts.secured_kafka import PASSWORD, SecuredKafka
from tests.parts.server import free_port, run
from tests.parts.token_endpoint import CLIENT_ID, CLIENT_SECRET, KAFKA_SCOPE, TokenEndpoint

pytestmark = [pytest.mark.apache, pytest.mark.parts]
PATIENCE_S = 60.0
DELIGHTED = json.dumps({"id": "r1", "score": 9, "created_at": wall_clock_ms() // 1000}).encode()
RIGHTS = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text(encoding="utf-8")
OWN_SECRETS = (PASSWORD, CLIENT_SECRET, "wrong-Secret-3")


class SecuredCluster:
    """The broker, the identity provider, and the certificates of clients."""

    def __init__(self, folder: Path) -> None:
        self.tokens = TokenEndpoint(folder)
        self.broker = SecuredKafka(self.tokens.jwks_url, folder)
        authority = self.broker.authority
        self.own = authority.issue("mutual", password="key-Secret-4")
        self.expired = authority.issue("mutual-expired", expired=True)
        self.foreign = self.broker.stranger.issue("mutual-foreign")

    def mutual(self, certificate: Path | None, **more: Any) -> dict[str, Any]:
        own = {} if certificate is None else {"ssl_cert_file": str(certificate)}
        return self.broker.secured("MUTUAL", security_protocol="SSL", **own, **more)

    def token(self, **more: Any) -> dict[str, Any]:
        defaults = {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_endpoint": self.tokens.url,
            "sasl_oauth_client_id": CLIENT_ID,
            "sasl_oauth_client_secret": CLIENT_SECRET,
            "sasl_oauth_scope": KAFKA_SCOPE,
        }
        return self.broker.secured("TOKEN", **defaults | more)

    def tls(self, listener: str = "TLS", **more: Any) -> dict[str, Any]:
        return self.broker.secured(listener, **{"security_protocol": "SSL", **more})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredCluster]:
    secured = SecuredCluster(tmp_path_factory.mktemp("certificates"))
    try:
        run(secured.broker.start())
        run(_create_topics(secured.broker.settings))
        yield secured
    finally:
        run(secured.broker.close())
        secured.tokens.close()


async def _create_topics(kafka: KafkaSettings) -> None:
    await ensure_topics(kafka, partitions=1)


Way = Callable[[SecuredCluster], dict[str, Any]]
WAYS: Mapping[str, tuple[Way, str]] = {
    "TLS": (lambda secured: secured.tls(), "SSL"),
    "TLS to an address that is not in the certificate, unchecked": (
        lambda secured: secured.tls("MISNAMED", ssl_check_hostname=False),
        "SSL",
    ),
    "mutual TLS": (lambda secured: secured.mutual(secured.own, ssl_key_password="key-Secret-4"), "SSL"),
    "PLAIN": (lambda secured: secured.broker.login("ann", "PLAIN"), "SASL_SSL, PLAIN"),
    "SCRAM-SHA-256": (lambda secured: secured.broker.login("ann"), "SASL_SSL, SCRAM-SHA-256"),
    "SCRAM-SHA-512": (
        lambda secured: secured.broker.login("ann", "SCRAM-SHA-512"),
        "SASL_SSL, SCRAM-SHA-512",
    ),
    "SCRAM without TLS": (
        lambda secured: secured.broker.secured(
            "OPEN_LOGIN",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="ann",
            sasl_password=PASSWORD,
        ),
        "SASL_PLAINTEXT, SCRAM-SHA-512",
    ),
    "OAUTHBEARER": (lambda secured: secured.token(), "SASL_SSL, OAUTHBEARER"),
}  # fmt: skip
REFUSALS: Mapping[str, tuple[Way, str, str]] = {
    "a wrong password": (
        lambda secured: secured.broker.login("ann") | {"sasl_password": "wrong-Secret-3"},
        "the broker refuses user name or password of ann (SCRAM-SHA-256)",
        "correct kafka.sasl_username and kafka.sasl_password",
    ),
    "a wrong password in PLAIN": (
        lambda secured: secured.broker.login("ann", "PLAIN") | {"sasl_password": "wrong-Secret-3"},
        "the broker refuses user name or password of ann (PLAIN)",
        "correct kafka.sasl_username and kafka.sasl_password",
    ),
    "an unknown user": (
        lambda secured: secured.broker.login("nobody", "SCRAM-SHA-512"),
        "the broker refuses user name or password of nobody (SCRAM-SHA-512)",
        "add the user for this mechanism",
    ),
    "an expired certificate of the broker": (
        lambda secured: secured.tls("EXPIRED"),
        "the broker's certificate has expired",
        "renew it on the broker",
    ),
    "a foreign certificate of the broker": (
        lambda secured: secured.tls("FOREIGN"),
        "the broker's certificate is signed by an authority that is not in",
        "set kafka.ssl_ca_file",
    ),
    "a certificate for another host": (
        lambda secured: secured.tls("MISNAMED"),
        "the broker's certificate is for another host name",
        "advertised.listeners",
    ),
    "no certificate where one is asked for": (
        lambda secured: secured.mutual(None),
        "the broker wants a certificate of this client",
        "set kafka.ssl_cert_file and kafka.ssl_key_file",
    ),
    "an expired certificate of the client": (
        lambda secured: secured.mutual(secured.expired),
        "the broker refuses the certificate in",
        "renew it if it has expired",
    ),
    "a foreign certificate of the client": (
        lambda secured: secured.mutual(secured.foreign),
        "the broker refuses the certificate in",
        "have an authority sign it that the broker trusts",
    ),
    "a wrong client secret": (
        lambda secured: secured.token(sasl_oauth_client_secret="wrong-Secret-3"),
        "/token: answered 401",
        "kafka.sasl_oauth_client_secret",
    ),
    "a token endpoint that is away": (
        lambda secured: secured.token(sasl_oauth_token_endpoint=f"http://127.0.0.1:{free_port()}/token"),
        "no token from http://127.0.0.1:",
        "correct kafka.sasl_oauth_token_endpoint",
    ),
    "a token for somebody else": (
        lambda secured: secured.token(sasl_oauth_scope="other"),
        "the broker refuses the token of client service",
        "kafka.sasl_oauth_scope",
    ),
    "a mechanism the listener does not offer": (
        lambda secured: secured.token() | {"bootstrap_servers": secured.broker.address_of("LOGIN")},
        "this listener does not offer OAUTHBEARER",
        "sasl.enabled.mechanisms",
    ),
    "a log-in where there is none": (
        lambda secured: secured.broker.login("ann")
        | {"bootstrap_servers": secured.broker.address_of("TLS")},
        "this listener has no log-in",
        "set kafka.security_protocol to SSL",
    ),
    "no log-in where one is asked for": (
        lambda secured: secured.tls("LOGIN"),
        "the broker ended the connection, as it does where SSL is not what it expects",
        "set kafka.security_protocol to that of this listener",
    ),
    "plain text on a port with TLS": (
        lambda secured: {"bootstrap_servers": secured.broker.address_of("TLS")},
        "PLAINTEXT",
        "kafka.security_protocol",
    ),
    "TLS on a port with plain text": (
        lambda secured: secured.tls() | {"bootstrap_servers": secured.broker.address},
        "the broker ended the connection, as it does where SSL is not what it expects",
        "set kafka.security_protocol to that of this listener",
    ),
}  # fmt: skip


async def kafka_findings(kafka: Mapping[str, Any], store_url: str) -> list[CheckFinding]:
    settings = load_settings(kafka=kafka, redis=store_url)
    findings = [finding async for finding in check_infrastructure(settings)]
    return [finding for finding in findings if finding.message.startswith("Kafka at")]


@pytest.mark.parametrize("name", WAYS)
async def test_check_reaches_kafka_by_each_way_to_log_in(
    name: str, cluster: SecuredCluster, store_url: str
) -> None:
    way, shown = WAYS[name]
    kafka = way(cluster)
    (finding,) = await kafka_findings(kafka, store_url)
    assert str(finding) == f"ok    Kafka at {kafka['bootstrap_servers']}: reachable by {shown}"


@pytest.mark.parametrize("name", REFUSALS)
async def test_each_refusal_is_one_line_in_check_and_what_a_worker_ends_with(
    name: str, cluster: SecuredCluster, store_url: str, center: str, capfd: pytest.CaptureFixture[str]
) -> None:
    way, problem, fix = REFUSALS[name]
    kafka = way(cluster)
    (finding,) = await kafka_findings(kafka, store_url)
    assert finding.verdict == "fail"
    assert problem in finding.message
    assert fix in finding.fix
    assert kafka["bootstrap_servers"] in finding.message
    with pytest.raises(KafkaUnavailable) as caught:
        await run_worker(load_settings(kafka=kafka, redis=store_url, center=center))
    assert str(caught.value) == f"{finding.message} — {finding.fix}"
    assert not [secret for secret in OWN_SECRETS if secret in f"{finding}{capfd.readouterr()}"]


async def test_a_token_is_kept_and_replaced_before_it_expires(cluster: SecuredCluster) -> None:
    provider = ClientCredentials(KafkaSettings.model_validate(cluster.token()))
    cluster.tokens.requests.clear()
    tokens = [await provider.token() for _ in range(3)]
    assert len({*tokens}) == 1
    assert cluster.tokens.requests == [{"grant_type": ["client_credentials"], "scope": [KAFKA_SCOPE]}]
    cluster.tokens.life_s = 0  # over as soon as it comes
    short_lived = ClientCredentials(KafkaSettings.model_validate(cluster.token()))
    assert [await short_lived.token() for _ in range(2)]
    assert len(cluster.tokens.requests) == 3
    cluster.tokens.life_s = 300


async def test_a_token_endpoint_is_trusted_by_its_own_authority(
    cluster: SecuredCluster, tmp_path: Path
) -> None:
    authority = CertificateFolder(tmp_path, "identity")
    endpoint = TokenEndpoint(tmp_path, authority.issue("endpoint"))
    try:
        kafka = cluster.token(sasl_oauth_token_endpoint=endpoint.url)
        with pytest.raises(TokenRefused, match="certificate"):
            await ClientCredentials(KafkaSettings.model_validate(kafka)).token()
        trusting = kafka | {"sasl_oauth_ca_file": str(authority.path)}
        assert await ClientCredentials(KafkaSettings.model_validate(trusting)).token()
        text = KafkaSettings.model_validate(kafka | {"sasl_oauth_ca_file": __file__})
        with pytest.raises(SettingsError, match=r"kafka\.sasl_oauth_ca_file = .*expected certificates"):
            ClientCredentials(text)
    finally:
        endpoint.close()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ssl_key_password": "wrong-Secret-3"}, "kafka.ssl_key_password: expected the password of the key"),
        ({}, "kafka.ssl_key_password: expected the password of the key"),
        ({"ssl_ca_file": __file__}, "expected certificates in PEM"),
        ({"ssl_cert_file": __file__}, "expected a certificate and its private key in PEM"),
    ],
)
async def test_a_certificate_or_key_that_cannot_be_used_is_named_with_its_setting(
    changes: Mapping[str, Any], error: str, cluster: SecuredCluster, store_url: str
) -> None:
    settings = load_settings(kafka=cluster.mutual(cluster.own) | changes, redis=store_url)
    findings = [str(finding) async for finding in check_infrastructure(settings)]
    (line,) = [finding for finding in findings if "kafka.ssl" in finding]
    assert line.startswith("fail  settings: kafka.ssl_")
    assert error in line
    assert "wrong-Secret-3" not in str(findings)
    with pytest.raises(SettingsError, match=error):
        await run_worker(settings)


async def test_rights_that_no_acl_grants_are_one_line_and_a_topic_denied_is_named(
    cluster: SecuredCluster, store_url: str, center: str
) -> None:
    broker = cluster.broker
    for topic in TOPICS:
        if topic != "customer-valued":
            await broker.grant("eve", "Read", topic=topic)
    await broker.grant("eve", "Write", topic="streamer-dead-letters")
    await broker.grant("eve", "Read", group="streamer")
    kafka = broker.login("eve")
    (finding,) = await kafka_findings(kafka, store_url)
    address = kafka["bootstrap_servers"]
    assert str(finding) == (
        f"fail  Kafka at {address}: user eve may not read topic customer-valued: no ACL allows it  — "
        f"kafka-acls.sh --bootstrap-server {address} --add --allow-principal User:eve --operation Read "
        "--topic customer-valued"
    )
    with pytest.raises(KafkaUnavailable, match="user eve may not read topic customer-valued: no ACL allows"):
        await run_worker(load_settings(kafka=kafka, redis=store_url, center=center))
    other = load_settings(kafka=kafka, redis=store_url, center=center, consumer_group="others")
    with pytest.raises(KafkaUnavailable, match="read topic customer-valued, read group others: no ACL"):
        await run_worker(other)
    await broker.grant("eve", "Read", topic="customer-valued")
    (finding,) = await kafka_findings(kafka, store_url)
    assert finding.verdict == "ok"


def test_every_command_ends_with_that_line_alone(
    cluster: SecuredCluster, store_url: str, center: str, tmp_path: Path
) -> None:
    kafka = cluster.broker.login("ann") | {"sasl_password": "wrong-Secret-3"}
    (tmp_path / "calls.ndjson").write_text(call_lines(1))
    settings = process_settings(kafka, redis=store_url, center=center)
    commands = (
        "worker", "ingest delighted", "dead-letters list", "rebuild --yes", "simulate --history 0d",
        "replay calls.ndjson --topic call-completed",
    )  # fmt: skip
    with ExitStack() as stack:
        processes = [
            CommandProcess(command, settings, tmp_path / f"{number}.log")
            for number, command in enumerate(commands)
        ]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            assert process.wait() == 1
            (line,) = process.log().splitlines()
            problem = "the broker refuses user name or password of ann"
            assert line.startswith(f"streamer: Kafka at {kafka['bootstrap_servers']}: {problem}")


async def test_workers_count_over_each_way_to_log_in(
    cluster: SecuredCluster, store_url: str, center: str, tmp_path: Path
) -> None:
    await publish(cluster.broker.settings, "call-completed", call_lines(5).encode().splitlines())
    names, tokens = ("mutual TLS", "PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"), cluster.tokens
    tokens.life_s = 3
    async with AsyncExitStack() as stack:
        stack.callback(vars(tokens).update, life_s=300)
        for number, name in enumerate(names):
            settings = process_settings(
                WAYS[name][0](cluster),
                redis=store_url,
                center=f"{center}-{number}",
                consumer_group=f"{center}-{number}",
            )
            worker = CommandProcess("worker", settings, tmp_path / f"{number}.log")
            stack.callback(worker.kill)
        for number in range(len(names)):
            store = await RedisStore.connect(store_url, f"{center}-{number}")
            stack.push_async_callback(store.close)
            await until_counted(store, 5)
        fetched = len(tokens.requests)  # by the last one, whose connections end with their token
        async with asyncio.timeout(PATIENCE_S):
            while len(tokens.requests) < fetched + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await publish(cluster.broker.settings, "call-completed", call_lines(9).encode().splitlines()[5:])
        await until_counted(store, 9)
        assert "Traceback" not in worker.log()


class SharingCenter:
    """A center that shares the cluster with others: a user with the least rights, and a prefix."""

    def __init__(self, cluster: SecuredCluster, user: str, prefix: str, store_url: str, folder: Path) -> None:
        self._broker, self.user, self.prefix = cluster.broker, user, prefix
        kafka = cluster.broker.login(user, topic_prefix=prefix)
        self.settings = load_settings(kafka=kafka, redis=store_url, center=user)
        self.env = process_settings(kafka, redis=store_url, center=user)
        self.folder = folder / user
        self.folder.mkdir()
        self.processes: list[CommandProcess] = []

    async def grant(self) -> None:
        """Grant what docs/kafka.md grants to the user madrid for the prefix `madrid.`."""
        commands = re.findall(r"^kafka-acls.sh .*--(topic|group) madrid\. (.*)$", RIGHTS, re.MULTILINE)
        assert [resource for resource, _ in commands] == ["topic", "group"]
        for resource, operations in commands:
            for operation in re.findall(r"--operation (\w+)", operations):
                await self._broker.grant(self.user, operation, **{resource: f"{self.prefix}*"})

    def start(self, command: str) -> CommandProcess:
        log = self.folder / f"{len(self.processes)}.log"
        self.processes.append(CommandProcess(command, self.env, log))
        return self.processes[-1]

    async def run(self, command: str) -> str:
        """Run a command, and return what it prints."""
        process = self.start(command)
        assert await asyncio.to_thread(process.wait) == 0, process.log()
        return process.log()

    def kill(self) -> None:
        for process in self.processes:
            process.kill()


async def test_two_centers_with_a_prefix_each_share_a_cluster_and_do_not_see_each_other(
    cluster: SecuredCluster, store_url: str, tmp_path: Path
) -> None:
    """Every command of a center works with no more rights than docs/kafka.md has."""
    madrid = SharingCenter(cluster, "mad", "madrid.", store_url, tmp_path)
    york = SharingCenter(cluster, "nyc", "nyc-", store_url, tmp_path)
    async with AsyncExitStack() as stack:
        stores = []
        for center in (madrid, york):
            await center.grant()
            stack.callback(center.kill)
            center.start("worker")
            stores.append(await RedisStore.connect(store_url, center.user))
            stack.push_async_callback(stores[-1].close)
        of_madrid, of_york = stores
        ingest = madrid.start("ingest delighted")
        for center, calls in ((madrid, 30), (york, 7)):
            (center.folder / "calls.ndjson").write_text(call_lines(calls))
        replay = "replay calls.ndjson --topic call-completed"
        await asyncio.gather(madrid.run(replay), york.run(replay))
        await publish(madrid.settings.kafka, "madrid.call-completed", [b"{"])
        await until_counted(of_madrid, 31)
        await until_counted(of_york, 7)
        await publish(madrid.settings.kafka, "madrid.ingest-delighted", [DELIGHTED])
        await until_counted(of_madrid, 32)
        assert ingest.runs
        counts = await of_madrid.counters()
        events = {
            tuple(name.split(SEPARATOR)[1:]): amount
            for name, amount in counts.items()
            if name.startswith("events")
        }
        assert events == {
            ("madrid.call-completed", "applied"): 30,
            ("madrid.call-completed", "rejected"): 1,
            ("madrid.survey-completed", "applied"): 1,
        }
        assert (await results(of_york)).total() == 7
        await until_read(of_york)
        assert {partition.topic for partition in await of_york.heartbeats()} == {
            f"nyc-{topic}" for topic in TOPICS
        }
        listed, listed_in_york, forgotten, checked = await asyncio.gather(
            madrid.run("dead-letters list"),
            york.run("dead-letters list"),
            madrid.run("forget customer-1"),
            madrid.run("check"),
        )
        assert "not-json  madrid.call-completed  1 letter" in listed
        assert listed_in_york == "there are no open dead letters\n"
        assert "madrid.call-completed (100 days)" in forgotten
        assert "madrid.call-completed: retention is 100 days" in checked
        assert "fail" not in checked
        closed, rebuilt = await asyncio.gather(
            madrid.run("dead-letters close --all"), madrid.run("rebuild --yes")
        )
        assert "1 closed" in closed
        assert "switched: the new numbers are in force" in rebuilt


async def test_a_worker_whose_right_is_taken_away_ends_with_one_line(
    cluster: SecuredCluster, store_url: str, center: str, tmp_path: Path
) -> None:
    broker = cluster.broker
    workers = {}
    async with AsyncExitStack() as stack:
        for resource in ("topic", "group"):
            prefix = f"tim-{resource}-"
            for operation in ("Read", "Write", "Create", "DescribeConfigs"):
                await broker.grant("tim", operation, topic=f"{prefix}*")
            await broker.grant("tim", "Read", group=f"{prefix}*")
            kafka = broker.login("tim", topic_prefix=prefix)
            settings = process_settings(kafka, redis=store_url, center=f"{center}-{resource}")
            workers[resource] = CommandProcess("worker", settings, tmp_path / resource)
            stack.callback(workers[resource].kill)
        for resource in workers:
            store = await RedisStore.connect(store_url, f"{center}-{resource}")
            stack.push_async_callback(store.close)
            await until_read(store)
        await broker.deny("tim", "Read", topic="tim-topic-survey-sent")
        await broker.deny("tim", "Read", group="tim-group-streamer")
        for resource, name in (("topic", "survey-sent"), ("group", "streamer")):
            worker = workers[resource]
            assert await asyncio.wait_for(asyncio.to_thread(worker.wait), PATIENCE_S) == 1
            assert "Traceback" not in worker.log()
            problem = f"user tim may not read {resource} tim-{resource}-{name}: no ACL allows it"
            assert problem in worker.log().splitlines()[-1]


async def test_a_worker_waits_while_the_brokers_certificate_is_expired_and_goes_on_when_it_is_renewed(
    cluster: SecuredCluster, redis_server: RedisServer, center: str, tmp_path: Path
) -> None:
    broker, kafka = cluster.broker, cluster.tls()
    trial = Trial(broker, redis_server, center, tmp_path)
    trial.publisher.partitions = 1
    await trial.open()
    try:
        worker = trial.worker(kafka=json.dumps(kafka))
        async with trial.load(per_s=100):
            await trial.progress(100)
            broker.authority.issue("broker", expired=True)
            await broker.restart()
            await trial.until(lambda: bool(said(worker, "certificate has expired")))
            counted = await trial.counted()
            (finding,) = await kafka_findings(kafka, redis_server.url)
            assert "the broker's certificate has expired" in finding.message
            assert await trial.counted() == counted
            broker.authority.issue("broker")
            await broker.restart()
            await trial.progress(100)
        await trial.settle()
        assert not said(worker, "Traceback")
    finally:
        await trial.close()


def call_lines(count: int) -> str:
    now_s = wall_clock_ms() // 1000
    events = [
        {
            "contact_id": f"c-{number}",
            "customer_id": f"customer-{number}",
            "queue": "billing",
            "ended_at": now_s,
            "outcome": "answered",
        }
        for number in range(count)
    ]
    return "".join(f"{json.dumps(event)}\n" for event in events)


async def publish(kafka: KafkaSettings, topic: str, values: Sequence[bytes]) -> None:
    producer = await start_producer(kafka)
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def until_counted(store: RedisStore, records: int) -> None:
    start = time.monotonic()
    while (found := await results(store)).total() < records:
        assert time.monotonic() - start < PATIENCE_S, f"{found} of {records}"
        await asyncio.sleep(0.05)


async def until_read(store: RedisStore) -> None:
    """Wait until all partitions are read."""
    start = time.monotonic()
    while not ((beats := await store.heartbeats()) and all(beat.caught_up_at for beat in beats.values())):
        assert time.monotonic() - start < PATIENCE_S, beats
        await asyncio.sleep(0.05)


def process_settings(kafka: Mapping[str, Any], **others: str) -> dict[str, str]:
    return {**{f"kafka__{name}": str(value) for name, value in kafka.items()}, **others}
