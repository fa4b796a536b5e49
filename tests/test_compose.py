"""Tests that docker-compose.yml is whole: it fits its schema, what it mounts passes its own checker, and
what it sets is understood by whom it is set for. Nothing here starts a container."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
import yaml

from streamer.operations.validation import validate
from streamer.settings import KafkaSettings, Settings, load_settings
from streamer.web.access_checks import check_host
from streamer.web.credentials import password_hash, token_hash
from streamer.web.users import UserDirectory
from streamer.worker.forgotten_customers import new_customer_key
from streamer.worker.kafka import count_partitions, ensure_topics
from tests.parts import apache_kafka
from tests.parts.apache_kafka import ApacheKafka, format_folder
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port, run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
PASSWORD_HASH = password_hash("open sesame")
GIVEN = {
    "STREAMER_REDIS_PASSWORD": "a1b2c3",
    "STREAMER_ADMIN_PASSWORD": PASSWORD_HASH,
    "STREAMER_CUSTOMER_KEY": new_customer_key(),
    "STREAMER_METRICS_TOKEN": "of prometheus",
    "STREAMER_METRICS_TOKEN_HASH": token_hash("of prometheus"),
    "GRAFANA_ADMIN_PASSWORD": "d4e5f6",
}
"""All that has to be given: without any of these compose stops with a line that says what it is for."""


def interpolated(value: Any, given: Mapping[str, str]) -> Any:
    """Interpolate as compose does: ${NAME:?message}, ${NAME:-default}, one in the other, $$."""
    if isinstance(value, dict):
        return {name: interpolated(part, given) for name, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, given) for part in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        name, kind, rest = match[1], match[2], match[3]
        if name in given:
            return given[name]
        assert kind == ":-", f"{name} is missing: {rest}"
        return rest

    inner = re.compile(r"(?<!\$)\$\{(\w+)(:[-?])([^{}]*)\}")
    while inner.search(value):
        value = inner.sub(found, value)
    return value.replace("$$", "$")


COMPOSE: dict[str, Any] = interpolated(yaml.safe_load(TEXT), GIVEN)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def test_it_fits_the_schema_of_compose_files() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_center_is_there() -> None:
    assert set(SERVICES) == {
        "kafka", "redis", "worker", "serve", "ingest", "simulator", "prometheus", "alertmanager", "grafana",
    }  # fmt: skip
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["ingest", "simulator"]
    assert sorted(OURS) == ["ingest", "serve", "simulator", "worker"]


def test_it_asks_for_every_password_and_has_none_of_its_own() -> None:
    assert set(re.findall(r"\$\{(\w+):\?", TEXT)) | {"STREAMER_METRICS_TOKEN"} == set(GIVEN)
    assert COMPOSE["secrets"]["streamer_metrics_token"] == {"environment": "STREAMER_METRICS_TOKEN"}
    for name, default in re.findall(r"\$\{(\w+):-((?:[^{}]|\$\{[^{}]*\})*)\}", TEXT):
        assert (name, default) in {
            ("STREAMER_URL", "http://${STREAMER_PUBLISH:-127.0.0.1}:8080"),
            ("STREAMER_TIMEZONE", "UTC"),
            ("STREAMER_PUBLISH", "127.0.0.1"),
            ("STREAMER_TOML", "/dev/null"),
        }


@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"STREAMER_METRICS_TOKEN"}))
def test_without_a_password_nothing_starts(name: str) -> None:
    others = {one: value for one, value in GIVEN.items() if one != name}
    with pytest.raises(AssertionError, match=f"^{name} is missing: ."):
        interpolated(yaml.safe_load(TEXT), others)


def test_every_port_is_open_on_this_machine_alone() -> None:
    published = [port.rsplit(":", 2)[0] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 5
    assert all(ip_address(address).is_loopback for address in published)


def test_every_image_is_pinned() -> None:
    inline = SERVICES["worker"]["build"]["dockerfile_inline"]
    images = {service["image"] for service in SERVICES.values()} | set(re.findall(r"FROM (\S+)", inline))
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images), images
    kafka = apache_kafka.version()
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka}"  # the one the tests run on
    assert all(SERVICES[name]["image"] == f"streamer:{_version()}" for name in OURS)


def _version() -> str:
    return str(re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0])


def test_everything_starts_after_what_it_needs_is_healthy() -> None:
    needs = {
        name: {other: one["condition"] for other, one in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    healthy = "service_healthy"
    assert needs == {
        "kafka": {},
        "redis": {},
        "alertmanager": {},
        "worker": {"kafka": healthy, "redis": healthy},
        "serve": {"redis": healthy},
        "ingest": {"kafka": healthy, "redis": healthy},
        "simulator": {"kafka": healthy, "redis": healthy, "worker": healthy},
        "prometheus": {"serve": healthy, "alertmanager": healthy},
        "grafana": {"prometheus": healthy},
    }
    unchecked = [name for name, service in SERVICES.items() if "healthcheck" not in service]
    assert unchecked == ["ingest", "simulator"]


def test_what_holds_state_keeps_it_in_a_named_volume() -> None:
    named = {
        mount.partition(":")[0]: name
        for name, service in SERVICES.items()
        for mount in service.get("volumes", ())
        if not mount.startswith("./")
    }
    assert named == {name: name for name in ("kafka", "redis", "prometheus", "alertmanager", "grafana")}
    assert set(COMPOSE["volumes"]) == set(named)


def mounts() -> Iterator[tuple[Path, str]]:
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            if mount.startswith("./"):
                source, target, mode = mount.split(":")
                assert mode == "ro"
                yield ROOT / source, target


def test_every_mounted_file_is_there() -> None:
    found = dict(mounts())
    assert len(found) == 4
    assert all(source.exists() for source in found)
    assert {source.name for source in found if source.is_file()} == {"alertmanager.yml"}


# The image, and the worker and the server in it.


def test_the_image_is_built_from_files_that_are_there_and_does_not_run_as_root() -> None:
    inline = SERVICES["worker"]["build"]["dockerfile_inline"]
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", inline, re.MULTILINE)
        for name in line.split()
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == ["requirements-runtime.lock", "pyproject.toml", "README.md", "LICENSE", "streamer"]
    assert "--require-hashes" in inline
    assert all((ROOT / name).exists() and f"!{name}" in ignored for name in copied)
    assert ignored[0] == "*"
    assert re.findall(r"^USER (\S+)$", inline, re.MULTILINE) == ["streamer"]
    assert inline.index("USER streamer") < inline.index("ENTRYPOINT")
    assert "PATH=/opt/streamer/bin:$PATH" in inline


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Load the settings as the service would."""
    return loaded(SERVICES[name], monkeypatch, tmp_path)


def loaded(service: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    for variable, value in service["environment"].items():
        # Without a streamer.toml of its own, compose mounts the empty file there.
        monkeypatch.setenv(variable, os.devnull if value == "/etc/streamer.toml" else value)
    return load_settings()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables = [one.removeprefix("STREAMER_") for one in SERVICES[name]["environment"]]
    known = {"CONFIG"} | {field.upper() for field in Settings.model_fields}
    assert {one.partition("__")[0] for one in variables} <= known
    settings = settings_of(name, monkeypatch, tmp_path)
    addresses = settings.kafka.bootstrap_servers, settings.redis_url()
    assert addresses == ("kafka:9092", "redis://:a1b2c3@redis:6379/0")


@pytest.mark.parametrize("name", OURS)
def test_every_service_accepts_its_settings(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    validate(settings_of(name, monkeypatch, tmp_path))


async def test_the_server_lets_in_its_admin_and_prometheus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of("serve", monkeypatch, tmp_path)
    check_host(settings)
    people = UserDirectory(settings)
    admin, prometheus = await people.by_password("admin", "open sesame"), people.by_token("of prometheus")
    assert admin is not None
    assert prometheus is not None
    assert (admin.role, prometheus.role, prometheus.agent_names) == ("admin", "viewer", False)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"STREAMER_PUBLISH": "10.0.0.7"}, "http://10.0.0.7:8080"),
        ({"STREAMER_PUBLISH": "0.0.0.0", "STREAMER_URL": "https://wall.example"}, "https://wall.example"),
    ],
)
def test_alerts_reach_alertmanager_by_prometheus_with_links_that_people_can_open(
    given: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = interpolated(yaml.safe_load(TEXT), GIVEN | given)["services"]
    delivery = loaded(services["serve"], monkeypatch, tmp_path).delivery
    assert (delivery.alertmanager, delivery.alertmanager_via, delivery.url) == (
        "http://alertmanager:9093",
        "prometheus",
        url,
    )


def test_a_file_of_settings_may_say_more_of_delivery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "streamer.toml").write_text('delivery.keep = "2h"\n')
    service = {"environment": SERVICES["serve"]["environment"] | {"STREAMER_CONFIG": "streamer.toml"}}
    delivery = loaded(service, monkeypatch, tmp_path).delivery
    assert (delivery.retry_for, delivery.alertmanager_via) == (timedelta(hours=2), "prometheus")


def test_commands_are_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamer", "--help"], capture_output=True, text=True, check=True
    )
    for name in OURS:
        (command,) = SERVICES[name]["command"]
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


# Who finds whom.


def test_prometheus_and_grafana_look_for_services_and_ports_there_are() -> None:
    ports = {
        "serve": SERVICES["serve"]["environment"]["STREAMER_PORT"],
        "worker": SERVICES["worker"]["environment"]["STREAMER_METRICS_PORT"],
        "prometheus": "9090",
        "alertmanager": "9093",
    }
    told = urlsplit(SERVICES["serve"]["environment"]["STREAMER_DELIVERY__ALERTMANAGER"])
    assert (told.hostname, str(told.port)) == ("alertmanager", ports["alertmanager"])
    prometheus = yaml.safe_load((ROOT / "grafana/prometheus/prometheus.yml").read_text())
    server, workers = prometheus["scrape_configs"]
    assert server["static_configs"] == [{"targets": [f"serve:{ports['serve']}"]}]
    assert [(one["names"], str(one["port"])) for one in workers["dns_sd_configs"]] == [
        (["worker"], ports["worker"])
    ]
    (managers,) = prometheus["alerting"]["alertmanagers"]
    assert managers["static_configs"] == [{"targets": [f"alertmanager:{ports['alertmanager']}"]}]
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/streamer.yml").read_text())
    for source in sources["datasources"]:
        name, port = str(urlsplit(source["url"]).netloc).split(":")
        assert ports[name] == port


def test_prometheus_is_given_the_token_it_shows() -> None:
    prometheus = yaml.safe_load((ROOT / "grafana/prometheus/prometheus.yml").read_text())
    file = prometheus["scrape_configs"][0]["authorization"]["credentials_file"]
    assert file == f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}"


def test_grafana_is_given_the_dashboards_it_looks_for() -> None:
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/streamer.yml").read_text())
    assert dict(mounts())[ROOT / "grafana/dashboards"] == provider["providers"][0]["options"]["path"]


# What the parts themselves say of it.


@pytest.mark.prometheus
def test_promtool_and_amtool_accept_what_is_mounted(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "grafana/prometheus", tmp_path / "prometheus")
    (tmp_path / "token").write_text("of prometheus")
    text = (folder / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(
        text.replace("/run/secrets/streamer_metrics_token", str(tmp_path / "token"))
    )
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


async def test_redis_starts_as_it_is_configured(parts: Any) -> None:
    class Configured(parts.store):  # type: ignore[name-defined,misc]
        def stdin(self) -> str:
            lines = COMPOSE["configs"]["redis"]["content"].replace("dir /data", f"dir {self.folder}")
            return f"{lines}bind 127.0.0.1\nport {self.port}\n"

    server: RedisServer = Configured()
    server.password = GIVEN["STREAMER_REDIS_PASSWORD"]
    async with server:
        client = redis.asyncio.Redis.from_url(server.url)
        kept = {
            name: (await client.config_get(name))[name] for name in ("appendonly", "maxmemory-policy", "save")
        }
        await client.aclose()
        assert kept == {"appendonly": "yes", "maxmemory-policy": "noeviction", "save": ""}
        stranger = redis.asyncio.Redis.from_url(server.url.replace("a1b2c3", "wrong"))
        with pytest.raises(redis.exceptions.RedisError):
            await stranger.ping()
        await stranger.aclose()


class Composed(ApacheKafka):
    """Kafka with the properties that its image makes of the environment, on ports and in a folder of ours."""

    def _format(self) -> None:
        format_folder(self._properties, SERVICES["kafka"]["environment"]["CLUSTER_ID"])

    def properties(self) -> str:
        own = {"9092": str(free_port()), "29092": str(self.port), "9093": str(free_port())}
        given = SERVICES["kafka"]["environment"]
        found = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in given.items()
            if name.startswith("KAFKA_")
        }
        text = "".join(f"{name}={value}\n" for name, value in found.items())
        text = re.sub(r":(9092|29092|9093)\b", lambda match: f":{own[match[1]]}", text)
        text = text.replace("://:", "://127.0.0.1:").replace("kafka:", "127.0.0.1:")
        return text.replace("/var/lib/kafka/data", str(self.folder / "data"))


@pytest.mark.apache
@pytest.mark.parts
def test_kafka_starts_as_it_is_configured_and_a_worker_makes_its_topics_there() -> None:
    kafka = Composed()
    try:
        run(kafka.start())
        run(_topics_are_made(kafka))
    finally:
        run(kafka.close())


async def _topics_are_made(kafka: ApacheKafka) -> None:
    made = await ensure_topics(KafkaSettings(bootstrap_servers=kafka.address))
    async with asyncio.timeout(20):
        while not all((await count_partitions(KafkaSettings(bootstrap_servers=kafka.address))).values()):  # noqa: ASYNC110 - brokers hear of them later
            await asyncio.sleep(0.1)
    assert set(made) == set(await count_partitions(KafkaSettings(bootstrap_servers=kafka.address)))
