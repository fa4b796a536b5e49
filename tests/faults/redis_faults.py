"""Faults of Redis: inside a context it answers "not now", after it as ever."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from redis.exceptions import RedisError

from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port, is_open

Fault = Callable[[RedisServer], AbstractAsyncContextManager[None]]


async def configure(redis: RedisServer, **values: object) -> None:
    async with redis.client() as client:
        for name, value in values.items():
            await client.config_set(name.replace("_", "-"), str(value))


@asynccontextmanager
async def out_of_memory(redis: RedisServer) -> AsyncIterator[None]:
    await configure(redis, maxmemory=1)
    yield
    await configure(redis, maxmemory=0)


@asynccontextmanager
async def demoted(redis: RedisServer) -> AsyncIterator[None]:
    """A replica of nobody: it refuses writes."""
    async with redis.client() as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        yield
        await client.execute_command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def cut_off_replica(redis: RedisServer) -> AsyncIterator[None]:
    """A replica of nobody that does not serve what it has: it refuses reads too."""
    await configure(redis, replica_serve_stale_data="no")
    async with demoted(redis):
        yield
    await configure(redis, replica_serve_stale_data="yes")


@asynccontextmanager
async def without_replicas(redis: RedisServer) -> AsyncIterator[None]:
    await configure(redis, min_replicas_to_write=1)
    yield
    await configure(redis, min_replicas_to_write=0)


@asynccontextmanager
async def busy_script(redis: RedisServer) -> AsyncIterator[None]:
    """Somebody's endless script, ended by hand."""
    await configure(redis, lua_time_limit=50)
    async with redis.client() as client, redis.client() as admin:
        script = asyncio.create_task(client.eval("while true do end", 0))
        yield
        await admin.script_kill()
        with suppress(RedisError):
            await script


@asynccontextmanager
async def full_disk(redis: RedisServer) -> AsyncIterator[None]:
    """The append-only file cannot grow."""
    assert redis.process is not None
    size = file_size(redis.folder)
    resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE, (size + 1, resource.RLIM_INFINITY))
    yield
    resource.prlimit(
        redis.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )


@asynccontextmanager
async def frozen(redis: RedisServer) -> AsyncIterator[None]:
    """Too slow to answer within the time-out."""
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    yield
    redis.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def failed_snapshot(redis: RedisServer) -> AsyncIterator[None]:
    """Snapshots (RDB) are wanted and cannot be written: a folder has their name."""
    obstacle = redis.folder / "dump.rdb" / "obstacle"
    obstacle.mkdir(parents=True)
    async with redis.client() as client:
        await client.config_set("save", "3600 1000000")
        await client.bgsave()
        while (await client.info("persistence"))["rdb_last_bgsave_status"] != "err":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        yield
        await client.config_set("save", "")
    obstacle.rmdir()
    obstacle.parent.rmdir()


@asynccontextmanager
async def loading(redis: RedisServer) -> AsyncIterator[None]:
    """Restarted, and slow to load its data: it takes another 0.1 ms a command, 50,000 more to begin with."""
    async with redis.client() as client:
        await client.eval("for i = 1, 50000 do redis.call('SET', KEYS[1], i) end", 1, "slow")
    await redis.stop()
    redis.extra_config = "key-load-delay 100\n"
    redis._launch()
    while not is_open(redis.port):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    yield
    await configure(redis, key_load_delay=0)
    redis.extra_config = ""
    await redis._ready()


def file_size(folder: Path) -> int:
    (file,) = folder.glob("appendonlydir/*.incr.aof")
    return file.stat().st_size
