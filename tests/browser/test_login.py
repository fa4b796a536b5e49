"""The log-in page: by keyboard, in three languages, and a television's token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from streamer.runtime.clock import wall_clock_ms
from streamer.settings import DisplaySettings, Settings, UserSettings
from streamer.web.credentials import password_hash, token_hash
from streamer.web.server import application
from tests.browser.conftest import Opened, overflowing, violations
from tests.parts.server import free_port
from tests.readings.small_center import SmallCenter, new_reader

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SETTINGS = Settings(
    users={"ann": UserSettings(role="admin", password=password_hash("open sesame"))},
    displays={"lobby": DisplaySettings(token=token_hash("of the lobby"), view="tv")},
    views={"tv": {"title": "Lobby"}},
)


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    app = application(await new_reader(SmallCenter()), SETTINGS, wall_clock_ms)
    config = uvicorn.Config(app, port=free_port(), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - it does not tell otherwise
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{config.port}"
    finally:
        app.state.streams.end()
        server.should_exit = True
        await task


async def test_one_logs_in_by_keyboard_and_is_where_one_wanted_to_go(opened: Opened) -> None:
    async with served() as url:
        page = await opened(f"{url}/supervisor?by=team")
        assert page.url == f"{url}/login?next=%2Fsupervisor%3Fby%3Dteam"
        await page.keyboard.type("ann")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        assert await page.get_by_role("alert").inner_text() == "Name or password is wrong."
        await page.get_by_label("Name").fill("ann")
        await page.get_by_label("Password").fill("open sesame")
        await page.get_by_role("button", name="Log in").press("Enter")
        await page.wait_for_url(f"{url}/supervisor?by=team**")
        assert await page.evaluate("document.cookie") == ""


@pytest.mark.parametrize(
    ("locale", "language", "button"),
    [
        ("en-GB", "en", "Log in"),
        ("es-MX", "es", "Entrar"),
        ("zh-CN", "zh", "登录"),
        ("fr-FR", "en", "Log in"),
    ],
)
async def test_it_speaks_three_languages(opened: Opened, locale: str, language: str, button: str) -> None:
    async with served() as url:
        page = await opened(f"{url}/login", locale=locale)
        assert await page.locator("html").get_attribute("lang") == language
        assert await page.get_by_role("button").inner_text() == button


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_is_readable_for_all_and_on_a_phone(opened: Opened, scheme: str) -> None:
    async with served() as url:
        page = await opened(f"{url}/login", color_scheme=scheme, viewport={"width": 390, "height": 844})
        await page.get_by_label("Name").fill("ann")
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button").click()
        await page.get_by_role("alert").wait_for()
        assert await violations(page) == []
        assert await overflowing(page) == []


async def test_a_television_shows_its_view_with_its_token_in_no_address(opened: Opened) -> None:
    async with served() as url:
        page = await opened(f"{url}/?display=of+the+lobby")
        assert page.url == f"{url}/?view=tv"
        await page.get_by_text("Lobby").first.wait_for()
        await page.goto(f"{url}/?view=default")
        assert page.url == f"{url}/?view=tv"
        refused = await page.goto(f"{url}/supervisor")
        assert refused is not None
        assert refused.status == 403
