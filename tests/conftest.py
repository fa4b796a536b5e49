"""Fixtures of all tests: a broker, a store, a cluster, of the parts chosen by --parts."""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, TypeVar

import pytest
from hypothesis import settings

from streamer.store.memory_documents import MemoryDocument
from streamer.store.port import LeasedDocument
from streamer.store.redis import RedisDocument, RedisStore
from tests.parts.apache_kafka import ApacheKafka
from tests.parts.broker import Broker
from tests.parts.embedded import EmbeddedBroker, EmbeddedStore
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_server import RedisServer
from tests.parts.server import Server, run

Running = TypeVar("Running", Server, RedisCluster)


class Parts(NamedTuple):
    broker: type[Broker]
    store: type[RedisServer]


PARTS = {
    "embedded": Parts(EmbeddedBroker, EmbeddedStore),
    "apache": Parts(ApacheKafka, RedisServer),
}

NOT_PYTHON = {
    "browser": "drives Debian's Chromium",
    "prometheus": "needs Debian's promtool, amtool, Prometheus or Alertmanager",
}
"""Markers of tests that need programs which pip cannot install."""


ONE_CHOICE = {
    "apache": "Apache Kafka and Redis (--parts apache)",
    "embedded": "the embedded broker and store",
}
"""Markers of tests that run with one choice of parts. Whole trials take half a minute of both cores: those of
faults, privacy, incidents and rebuilds are made on what a center runs, those of data on the quicker parts."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parts",
        choices=PARTS,
        default="embedded",
        help="what tests run on: the embedded broker and store, or Apache Kafka and Redis",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("unhurried", deadline=None)  # no time is ever asserted
    settings.load_profile("unhurried")
    config.addinivalue_line("markers", "parts: needs a server; set by itself on tests that ask for one")
    for marker, on in ONE_CHOICE.items():
        config.addinivalue_line("markers", f"{marker}: runs on {on} alone: others cannot or show no more")
    for marker, needs in NOT_PYTHON.items():
        config.addinivalue_line("markers", f"{marker}: {needs}; runs with -m {marker}")


LONG = (
    "faults", "test_incident", "test_secured_kafka", "test_rebuild", "replay", "test_privacy",
    "test_live_alerts", "test_letter_memory", "test_ingest_process", "test_exactness", "test_interleaving",
    "test_planted_faults", "test_documents", "test_oracle",
)  # fmt: skip
"""Folders and files that take longest: begun first, none is what all others wait for at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not {*LONG} & {item.path.stem, item.path.parent.name})
    for item in items:
        if "parts" in getattr(item, "fixturenames", ()):
            item.add_marker("parts")
    for marker in ONE_CHOICE.keys() - {config.getoption("--parts")}:
        _deselect(config, items, marker)
    for marker in NOT_PYTHON:
        if marker not in config.option.markexpr:
            _deselect(config, items, marker)


def _deselect(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    elsewhere = [item for item in items if item.get_closest_marker(marker)]
    items[:] = [item for item in items if not item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=elsewhere)


# The fixtures are synchronous, so that no server belongs to the event loop of one test. A part that
# is missing raises in its fixture: an error, never a skip.


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest) -> Parts:
    """The classes behind --parts, for tests that start servers of their own."""
    return PARTS[request.config.getoption("--parts")]


@pytest.fixture(scope="session")
def broker(parts: Parts) -> Iterator[Broker]:
    """One broker for all tests. Topic names are fixed, so who needs empty ones asks for fresh_broker."""
    yield from _running(parts.broker())


@pytest.fixture
def fresh_broker(parts: Parts) -> Iterator[Broker]:
    """A broker without any topic, which may be killed."""
    yield from _running(parts.broker())


@pytest.fixture(scope="session")
def redis_server(parts: Parts) -> Iterator[RedisServer]:
    """One store for all tests; each keeps to its own center."""
    yield from _running(parts.store(aof=False))


@pytest.fixture(scope="session")
def store_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def fresh_redis(parts: Parts) -> Iterator[RedisServer]:
    """An empty store that keeps its data on disk and may be killed."""
    yield from _running(parts.store())


@pytest.fixture
async def store(store_url: str, center: str) -> AsyncIterator[RedisStore]:
    """Store of a center of its own."""
    found = await RedisStore.connect(store_url, center)
    yield found
    await found.close()


@pytest.fixture
def document() -> MemoryDocument:
    """The leased document of the alert state, in memory."""
    return MemoryDocument()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def each_document(request: pytest.FixtureRequest) -> LeasedDocument:
    """The leased document of the alert state, in memory and in Redis."""
    in_memory = request.param == "memory"
    return MemoryDocument() if in_memory else RedisDocument(request.getfixturevalue("store"), "alerts")


@pytest.fixture(scope="session")
def redis_cluster(parts: Parts) -> Iterator[RedisCluster]:
    """Three nodes for all tests, which leave them running."""
    yield from _running(RedisCluster(parts.store))


@pytest.fixture
def center() -> str:
    """A center's name that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


def _running(server: Running) -> Iterator[Running]:
    try:
        run(server.start())
        yield server
    finally:
        run(server.close())
