"""Take the screenshot of the supervisor's page for docs/images: a queue in its incident, broken down.

`python -m tests.browser.supervisor_screenshot FILE.png`
"""

import asyncio
import sys
from itertools import product, takewhile
from pathlib import Path

from playwright.async_api import async_playwright

from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter
from streamer.events.counting_rules import MINUTE
from streamer.settings import Settings
from tests.browser.conftest import chromium
from tests.browser.supervised_center import NOW, SupervisedCenter

SIZE = {"width": 1440, "height": 1180}
SHOWN = "window=30m&metric=nps_score&key=billing"
PLAN = CenterPlan(5, NOW - 40 * MINUTE, 3.0, "Europe/Madrid", incident=Incident(after_s=300, lasts_s=1800))
FIRST = (
    "Ana",
    "Bruno",
    "Carla",
    "Diego",
    "Elena",
    "Filipe",
    "Gloria",
    "Hugo",
    "Inês",
    "Jorge",
    "Katya",
    "Luis",
)
LAST = "Alves", "Blanco", "Castro", "Duarte", "Esteves", "Fuentes", "Gil", "Herrero", "Ibáñez", "Lopes"
SETTINGS = Settings(
    timezone="Europe/Madrid",
    dimension_pairs=["queue,channel"],
    names={
        "queue": {"billing": "Billing", "technical": "Technical help", "premium": "Premium"},
        "agent": {
            f"a-{number:03d}": f"{first} {last}"
            for number, (last, first) in enumerate(product(LAST, FIRST), start=1)
        },
    },
)


async def save_screenshot(picture: Path) -> None:
    small_center, center = SupervisedCenter(SETTINGS), SimulatedCenter(PLAN)
    await small_center.count(center.history(8))
    await small_center.count(takewhile(lambda message: message.at_ms < NOW, center.live()))
    async with small_center, async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium())
        page = await browser.new_page(viewport=SIZE, locale="en-GB", color_scheme="dark")
        await page.goto(f"{small_center.url}?{SHOWN}")
        await page.locator(".contact").first.wait_for()
        await page.locator(".chart canvas").wait_for()
        await page.evaluate("document.fonts.ready")
        await page.screenshot(path=picture)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(save_screenshot(Path(sys.argv[1])))
