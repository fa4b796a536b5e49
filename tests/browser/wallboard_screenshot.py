"""Take the screenshot of the wallboard for docs/images: the simulated center in its incident.

`python -m tests.browser.wallboard_screenshot FILE.png`. Last week's hours are there too, so that there is
something to compare with.
"""

import asyncio
import json
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from playwright.async_api import async_playwright

from streamer.demo.simulator import CenterPlan, SimulatedCenter, publish_messages
from streamer.events.counting_rules import DAY, HOUR
from streamer.settings import KafkaSettings
from streamer.worker import kafka
from tests.browser.conftest import TELEVISION, chromium

_RATE = 3.0
_ZONE = "Europe/Madrid"
_INCIDENT_S = 480  # it begins after 120 s, lasts 300 s, and is then at its worst in a window of 15 minutes
_SETTINGS = f"""
timezone = "{_ZONE}"
[names.queue]
billing = "Billing"
[views.billing]
title = "Customer care"
queues = ["billing"]
window = "15m"
"""


async def save_screenshot(picture: Path, folder: Path) -> None:
    (folder / "streamer.toml").write_text(_SETTINGS)
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamer", "demo", "--json", "--port", "0", "--no-simulator",
        cwd=folder, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert demo.stdout
    try:
        live = json.loads(await demo.stdout.readline())
        await simulate(live["kafka"], live["url"], picture)
    finally:
        demo.terminate()
        await demo.wait()


async def simulate(broker: str, url: str, picture: Path) -> None:
    now = round(time.time() * 1000)  # noqa: TID251 - the edge of the picture
    last_week = SimulatedCenter(CenterPlan(5, now - 7 * DAY + HOUR, _RATE, _ZONE)).history(3)
    today = SimulatedCenter(CenterPlan(1, now, _RATE, _ZONE, states_s=300))
    producer = await kafka.start_producer(KafkaSettings(bootstrap_servers=broker))
    messages = chain(last_week, today.history(4.5), today.live())
    playing = asyncio.create_task(publish_messages(messages, producer, time.time))  # noqa: TID251 - the same
    await asyncio.sleep(_INCIDENT_S)
    await take_screenshot(f"{url}/?view=billing", picture)
    playing.cancel()
    await producer.stop()


async def take_screenshot(url: str, picture: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium())
        page = await browser.new_page(viewport=TELEVISION, locale="en-GB")
        await page.goto(url)
        await page.locator(".fresh.live").wait_for()
        await page.evaluate("document.fonts.ready")
        await page.screenshot(path=picture)
        await browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(save_screenshot(Path(sys.argv[1]).resolve(), Path(place)))
