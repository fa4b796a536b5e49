"""Notification dispatcher in a process of its own, to be killed: `python -m … REDIS CENTER URL`."""

import asyncio
import sys

from streamer.delivery.message_sender import DeliveryLimits
from streamer.delivery.notification_dispatcher import NotificationDispatcher
from streamer.delivery.timing import DeliveryTiming
from streamer.settings import Settings
from streamer.store.redis import RedisDocument, RedisStore
from tests.delivery.alert_samples import NOW
from tests.delivery.coordinators import make_quiet_coordinator

LEASE_S = 1.0
QUICK = DeliveryLimits(spacing_s=0.01, grace_s=0.5)


def settings(url: str) -> Settings:
    return Settings(receivers={"desk": {"url": url}})  # type: ignore[dict-item]


async def main(redis: str, center: str, url: str) -> None:
    store, found = await RedisStore.connect(redis, center), settings(url)
    bell = make_quiet_coordinator(RedisDocument(store, "alerts"), found, lease_s=LEASE_S)
    await NotificationDispatcher(bell, found, DeliveryTiming(lambda: NOW), QUICK).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
