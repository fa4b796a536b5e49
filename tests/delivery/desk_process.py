"""Notification dispatcher in a process of its own, to be killed: `python -m … REDIS CENTER URL`."""

import asyncio
import sys

from streamer.delivery.desk import Desk
from streamer.delivery.pauses import Timing
from streamer.delivery.sender import Patience
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from tests.delivery.belfry import bell
from tests.delivery.said import NOW

LEASE_S = 1.0
QUICK = Patience(apart=0.01, grace=0.5)


def settings(url: str) -> Settings:
    return Settings(receivers={"desk": {"url": url}})  # type: ignore[dict-item]


async def main(redis: str, center: str, url: str) -> None:
    store, found = await RedisStore.connect(redis, center), settings(url)
    await Desk(bell(store, found, lease=LEASE_S), found, Timing(lambda: NOW), QUICK).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
