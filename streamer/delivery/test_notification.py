"""Test notification: sends one receiver a message that says it is a test, and returns the outcome."""

import asyncio

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.verdict import VerdictFigures
from streamer.delivery.configured_receivers import build_receivers
from streamer.delivery.endpoint_checks import check_receivers
from streamer.delivery.http_client import HttpClient
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import Clock
from streamer.settings import Settings, SettingsError

TEST_RULE = "test"


async def send_test_notification(
    settings: Settings, name: str, clock: Clock
) -> DeliverySucceeded | DeliveryFailed:
    """Send the test to one receiver of [receivers]. Raises SettingsError if there is none of that name."""
    check_receivers(settings)
    http = HttpClient()
    try:
        receivers_by_name = build_receivers(settings, http, clock)
        if name not in receivers_by_name:
            raise SettingsError(
                f"receivers.{name}: no such receiver, {expected_choice(name, receivers_by_name)}"
            )
        receiver = receivers_by_name[name]
        async with asyncio.timeout(receiver.timeout_s):
            return await receiver.send([_test_message(clock())])
    except TimeoutError:
        return DeliveryFailed(f"no answer in {receiver.timeout_s:.0f} s")
    finally:
        await http.close()


def _test_message(now_ms: int) -> AlertMessage:
    return AlertMessage(
        id=f"{TEST_RULE}//{now_ms}/firing",
        episode=f"{TEST_RULE}//{now_ms}",
        what="firing",
        why="due",
        rule=TEST_RULE,
        kind="no_data",
        severity="warning",
        metric="offered",
        unit="count",
        better="higher",
        window="today",
        by="all",
        key="",
        group="",
        at=now_ms,
        since=now_ms,
        title="Test: nothing is wrong",
        text="This is a test, sent by hand with `streamer alerts try`. Nothing is wrong.",
        figures=VerdictFigures(),
    )
