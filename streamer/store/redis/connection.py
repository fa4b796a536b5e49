"""Connect to Redis (7.0 or later) or Valkey, one node, a cluster or one that Sentinels watch, and call Lua
scripts by their digest."""

from collections.abc import Mapping, Sequence
from hashlib import sha1
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from streamer.store.layout import (
    CURRENT_NAME,
    FIRST_GENERATION,
    LAYOUT_VERSION,
    POSITIONS,
    layout_key,
    script_constants,
)

MIN_VERSION: Final = (7, 0)
TIMEOUT_S: Final = 5.0
SENTINEL_PORT: Final = 26379
_TIMEOUTS: Final[Mapping[str, Any]] = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
SUPERSEDED_GENERATION: Final = b"2"
"""The former layout's name of the current generation once this layout replaced it."""
NodeAddress = tuple[str, int]


class StoreUnfit(Exception):  # noqa: N818 - names the state, like the message
    """This Redis would lose numbers, or cannot run the scripts; the message says why and what to change."""


class FormerLayout(StoreUnfit):
    """The center's numbers are still in the layout of an earlier release."""

    def __init__(self, center: str) -> None:
        super().__init__(
            f"the numbers of center {center} are in the layout of an earlier release: "
            "run `streamer rebuild` once, which counts them again in the new layout"
        )


class LuaScript:
    """Lua script: the constants of the key layout, then files of `scripts/`; called by its digest."""

    def __init__(self, *names: str) -> None:
        folder = files("streamer.store.redis").joinpath("scripts")
        self._text = script_constants() + "".join(
            folder.joinpath(f"{name}.lua").read_text() for name in names
        )
        self._digest = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Any, keys: Sequence[bytes], *args: Any) -> Any:
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *args)


async def connect(url: str, center: str) -> Redis:
    """Return a client of the server that holds the center; of a cluster, the node that does. Raises
    StoreUnfit for a Redis that is too old or evicts keys."""
    try:
        client = _sentinel_client(url) if "+sentinel://" in url else Redis.from_url(url, **_TIMEOUTS)
        _adapt_connections(client.connection_pool)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses unknown options
        _require_tls_files(pool.connection_kwargs)
    except (TypeError, ValueError) as error:
        raise StoreUnfit(f"the URL of Redis: {error}") from None
    try:
        info = await client.info()
        _require_fitness(info)
    except BaseException:
        await client.aclose()
        raise
    if not info.get("cluster_enabled"):
        return client
    await client.aclose()
    options = client.connection_pool.connection_kwargs
    is_tls = issubclass(client.connection_pool.connection_class, SSLConnection)
    owner = SlotOwner(key_slot(layout_key(center)), options, SSLConnection if is_tls else Connection)
    slot_pool = ConnectionPool(SlotTlsConnection if is_tls else SlotConnection, **{**options, "owner": owner})
    _adapt_connections(slot_pool)
    return Redis.from_pool(slot_pool)


def _sentinel_client(url: str) -> Redis:
    """Return a client of the primary that Sentinels name: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB."""
    parts = urlsplit(url)
    login, at, addresses = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    scheme = parts.scheme.removesuffix("+sentinel")
    options: dict[str, Any] = {
        **parse_url(f"{scheme}://{login}{at}primary/{database or 0}?{parts.query}"),
        **_TIMEOUTS,
        "ssl": scheme == "rediss",
    }
    del options["host"]
    options.pop("connection_class", None)
    sentinel_login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    sentinel_options = {**options, **sentinel_login, "db": 0, "retry": Retry(NoBackoff(), 0)}
    nodes = [urlsplit(f"//{address}") for address in addresses.split(",")]
    sentinel = Sentinel(
        [(node.hostname, node.port or SENTINEL_PORT) for node in nodes],
        sentinel_kwargs=sentinel_options,
        **options,
    )  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(service, connection_pool_class=SentinelPool)
    return client


class SentinelPool(SentinelConnectionPool):
    """Connection pool that closes its connections to the Sentinels too."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


def _adapt_connections(pool: ConnectionPool) -> None:
    """Make the pool pack commands with hiredis, which redis-py does by itself only without asyncio, and look
    its server up again once that turned into a replica."""
    connection_class, pack = pool.connection_class, HiredisRespSerializer().pack
    pool.connection_class = type(
        connection_class.__name__,
        (PrimaryConnection, connection_class),
        {"pack_command": staticmethod(pack)},
    )


def _require_tls_files(options: Mapping[str, Any]) -> None:
    """Raise StoreUnfit, which names the file, unlike redis-py's error."""
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        try:
            if path := options.get(name):
                Path(path).open().close()
        except OSError as error:
            raise StoreUnfit(f"TLS of Redis: {path}: {error.strerror}") from None


def _require_fitness(info: Mapping[str, Any]) -> None:
    version = str(info["redis_version"])
    if tuple(int(number) for number in version.split(".")[:2]) < MIN_VERSION:
        raise StoreUnfit(f"Redis {version} is too old: expected 7.0 or later, or Valkey")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnfit(
            f"maxmemory-policy is {policy}, which would evict counted numbers; "
            "expected noeviction (CONFIG SET maxmemory-policy noeviction)"
        )


async def find_former_generation(client: Redis, center: str) -> str | None:
    """Return the name of the current generation in the former layout; None if there is none."""
    current: Any = await client.get(former_key(center, CURRENT_NAME))
    if current == SUPERSEDED_GENERATION:
        return None
    generation = current.decode() if current else FIRST_GENERATION
    return generation if await client.exists(former_key(center, f"{generation}:") + POSITIONS) else None


def former_key(center: str, name: str) -> bytes:
    return layout_key(center, name, LAYOUT_VERSION - 1)


# Clusters. redis-py's own cluster client cannot run transactions under WATCH in one event loop. A center
# needs no more than the one node that holds its slot.


class SlotOwner:
    """Lookup of the cluster node that holds a slot. `options`: connection options for any node."""

    def __init__(self, slot: int, options: Mapping[str, Any], node_connection: type[Connection]) -> None:
        self._slot, self._options, self._node_connection = slot, dict(options), node_connection
        self._nodes: list[NodeAddress] = [(options["host"], options["port"])]
        self._owner: NodeAddress | None = None

    async def address(self) -> NodeAddress:
        """Return the owner, from the first node that answers. Raises redis-py's ClusterDownError if nobody
        holds the slot, and ConnectionError."""
        error: RedisError = ClusterDownError(f"no node of the cluster holds slot {self._slot}")
        for node in [*self._nodes]:
            if self._owner is not None:
                break
            try:
                self._owner = await self._query_owner(node)
            except (RedisConnectionError, OSError) as failure:
                error = RedisConnectionError(str(failure))
        if self._owner is None:
            raise error
        return self._owner

    def invalidate(self) -> None:
        """Forget the owner: the slot moved, or its node is unreachable."""
        self._owner = None

    async def _query_owner(self, node: NodeAddress) -> NodeAddress | None:
        host, port = node
        pool = ConnectionPool(self._node_connection, **{**self._options, "host": host, "port": port})
        client: Any = Redis.from_pool(pool)
        try:
            ranges = await client.execute_command("CLUSTER", "SLOTS")
        finally:
            await client.aclose()
        owner: NodeAddress | None = None
        for low, high, (
            node_host,
            node_port,
            *_,
        ), *_ in ranges:  # for each range of slots: its primary, then replicas
            primary = node_host.decode() or host, int(node_port)
            self._nodes = [*dict.fromkeys([primary, *self._nodes])]
            if low <= self._slot <= high:
                owner = primary
        return owner


class PrimaryConnection(AbstractConnection):
    """Connection that ends when its server says that it is a replica: the next one looks up the name, or asks
    the Sentinels, again."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError:
            # Once released: the other answers to a pipeline are still to be read.
            self.mark_for_reconnect()  # type: ignore[no-untyped-call]
            raise


class SlotConnection(Connection):
    """Connection to the node that currently holds a slot."""

    def __init__(self, *, owner: SlotOwner, **options: Any) -> None:
        super().__init__(**options)
        self._slot_owner = owner

    async def _connect(self) -> None:
        self.host, self.port = await self._slot_owner.address()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except (RedisConnectionError, OSError):
            self._slot_owner.invalidate()
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a response. Raises ConnectionError while the slot moves, or once it is elsewhere: a retry
        finds it."""
        try:
            return await super().read_response(*args, **options)
        except (AskError, TryAgainError, ClusterDownError) as error:  # MovedError is an AskError
            self._slot_owner.invalidate()
            await self.disconnect(nowait=True)
            error_name = type(error).__name__
            raise RedisConnectionError(
                f"the cluster is moving the center's slot: {error_name} {error}"
            ) from error
        except RedisConnectionError:
            self._slot_owner.invalidate()
            raise


class SlotTlsConnection(SlotConnection, SSLConnection):
    """The same over TLS."""
