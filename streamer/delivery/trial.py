"""Test notification: sends one receiver a message that says it is a test, and returns the outcome."""

import asyncio
from collections.abc import Callable

from streamer.alerts.message import Message
from streamer.alerts.verdict import Figures
from streamer.delivery.caller import Caller
from streamer.delivery.receiver import Delivered, Failed
from streamer.delivery.receivers import check_receivers, receivers
from streamer.settings import Settings, SettingsError

RULE = "test"


async def tried(settings: Settings, name: str, clock: Callable[[], int]) -> Delivered | Failed:
    """Send the test to one receiver of [receivers]. Raises SettingsError if there is none of that name."""
    check_receivers(settings)
    caller = Caller()
    try:
        known = receivers(settings, caller, clock)
        if name not in known:
            raise SettingsError(f"receivers.{name}: no such receiver, expected {', '.join(known) or '–'}")
        receiver = known[name]
        async with asyncio.timeout(receiver.timeout_s):
            return await receiver.send([_test(clock())])
    except TimeoutError:
        return Failed(f"no answer in {receiver.timeout_s:.0f} s")
    finally:
        await caller.close()


def _test(now: int) -> Message:
    return Message(
        id=f"{RULE}//{now}/firing",
        episode=f"{RULE}//{now}",
        what="firing",
        why="due",
        rule=RULE,
        kind="silence",
        severity="warning",
        metric="offered",
        unit="count",
        better="higher",
        window="today",
        by="all",
        key="",
        group="",
        at=now,
        since=now,
        title="Test: nothing is wrong",
        text="This is a test, sent by hand with `streamer alerts try`. Nothing is wrong.",
        figures=Figures(),
    )
