"""Fixtures for tests of the pages: Chromium, a page that tolerates no error, servers."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from tests.browser import snapshots
from tests.browser.full_center import FullCenter
from tests.browser.scripted_server import ScriptedServer
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

AXE = Path(__file__).parent / "vendor/axe.min.js"
TELEVISION = {"width": 1920, "height": 1080}

Opened = Callable[..., Awaitable[Page]]


def chromium() -> dict[str, Any]:
    """Return the launch options of Debian's Chromium. Raise RuntimeError if it is missing."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("chromium is missing: install Debian's package chromium")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # the sandbox is not there for root
    return {"executable_path": path, "args": as_root}


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests. Raises where there is no Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium())
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser) -> AsyncIterator[Opened]:
    """Opens a page of its own on a television, or as `context` says; `before` may prepare it. Afterwards
    no page may have had an error: not in its scripts, not against the content security policy."""
    errors: list[str] = []
    async with AsyncExitStack() as stack:

        async def open_page(
            url: str, *, before: Callable[[Page], Awaitable[Any]] | None = None, **context: Any
        ) -> Page:
            context = {"viewport": TELEVISION, "locale": "en-GB", "reduced_motion": "reduce"} | context
            made: BrowserContext = await browser.new_context(**context)
            stack.push_async_callback(made.close)
            page = await made.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: _complaint(message) and errors.append(message.text))
            if before is not None:
                await before(page)
            await page.goto(url)
            return page

        yield open_page
    assert errors == []


def _complaint(message: ConsoleMessage) -> bool:
    """A server that is away is what some tests are about; the browser tells of it itself."""
    away = ("net::ERR_", "Failed to load resource")
    return message.type in ("error", "warning") and not any(word in message.text for word in away)


@pytest_asyncio.fixture(loop_scope="session")
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted_server:
        yield scripted_server


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def full_center(
    broker: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FullCenter]:
    """One center for all tests: a test that kills its server starts it again."""
    full_center = FullCenter(broker, redis_server, "house", tmp_path_factory.mktemp("house"))
    try:
        await full_center.open()
        yield full_center
    finally:
        await full_center.close()


async def opened_by_hand(
    opened: Opened, url: str, *, before: Callable[[Page], Awaitable[Any]] | None = None, **context: Any
) -> Page:
    """Open a page whose clock moves only when the test moves it, from the moment of the snapshots on.

    The clock stands before the page is there, and was set an hour before: had it run while the page was
    loading, a slow machine would have carried it past that moment.
    """
    moment = snapshots.NOW / 1000

    async def stop_clock(page: Page) -> None:
        await page.clock.install(time=moment - 3600)
        await page.clock.pause_at(moment - 15)
        if before is not None:
            await before(page)

    page = await opened(url, before=stop_clock, **context)
    await page.clock.run_for(100)  # what a page does after it is painted begins
    await page.clock.pause_at(moment)  # and its seconds fall on those of the test
    return page


async def violations(page: Page) -> list[str]:
    """List the violations that axe-core finds: rule, element and reason.

    All rules run; what they pass is not listed, which takes most of the time.
    """
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def overflowing(page: Page) -> list[str]:
    """Elements whose text is cut off, or that stand out of the window sideways."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((element) => {
            const box = element.getBoundingClientRect();
            if (!box.width || element.closest(".unseen, svg")) return false;
            const hides = getComputedStyle(element).overflowX === "hidden";
            const cut = hides && element.scrollWidth > element.clientWidth + 1;
            return cut || box.right > innerWidth + 1 || box.left < -1;
        }).map((element) => `${element.className || element.tagName}: ${element.textContent.slice(0, 60)}`)"""
    )
