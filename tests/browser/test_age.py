"""A wall never shows an old number as a live one: how it ages, comes back, and lasts for weeks."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser import snapshots
from tests.browser.conftest import Opened, opened_by_hand
from tests.browser.scripted_server import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIVE = {"nps_score": "met", "csat_ratio": "missed", "service_level_ratio": "unclear"}


async def shown(scripted_server: ScriptedServer, opened: Opened, query: str = "") -> Page:
    page = await opened_by_hand(opened, f"{scripted_server.url}/{query}")
    await expect(page.locator(".tile").first).to_be_visible()
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=0))
    await expect(page.locator(".fresh span")).to_contain_text("0 s")
    return page


async def is_old(page: Page, age: str) -> None:
    await expect(page.locator(".fresh")).to_have_text(f"Not live{age}")
    await expect(page.locator(".not-live")).to_contain_text("Not live")
    states = await page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.dataset.state)")
    assert set(states) == {"old"}
    words = await page.locator(".state").all_text_contents()
    assert set(words) == {"Not live"}


async def is_live(page: Page) -> None:
    await expect(page.locator(".fresh strong")).to_have_text("Live")
    await expect(page.locator(".not-live")).to_have_count(0)
    for metric, state in LIVE.items():
        await expect(page.locator(f'[data-metric="{metric}"]')).to_have_attribute("data-state", state)


async def test_after_30_s_without_confirmation_it_is_grey_and_says_so(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    number = page.locator('[data-metric="nps_score"] .number')
    colour = await number.evaluate("one => getComputedStyle(one).color")
    await page.clock.run_for(19_000)
    await is_live(page)
    await scripted_server.close()  # what comes back at 20 s, when the silence is noticed, finds nobody
    await page.clock.run_for(10_900)
    await is_live(page)
    await page.clock.run_for(1_100)
    await is_old(page, "31 s old")
    await expect(page.locator(".not-live")).to_have_text(
        "Not liveThese numbers are from 11:00:05. No connection to the server; trying again."
    )
    assert await number.evaluate("one => getComputedStyle(one).color") != colour


async def test_a_quiet_night_is_fresh(scripted_server: ScriptedServer, opened: Opened) -> None:
    """Heartbeats alone, of data that is known to be complete, for half an hour."""
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    for minute in range(2 * 60):
        await page.clock.run_for(15_000)
        scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=0.01 * minute))
        await expect(page.locator(".fresh")).to_contain_text(f"{int(0.01 * minute)} s old")
    await is_live(page)


async def test_data_that_is_not_new_grows_old_though_the_server_is_there(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=29.5))
    await expect(page.locator(".fresh")).to_contain_text("29 s old")
    await is_live(page)
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=31))
    await is_old(page, "31 s old")
    await expect(page.locator(".not-live")).to_contain_text("The server is there, but its data is not new.")
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=0.3))
    await is_live(page)


async def test_what_was_never_complete_is_not_live(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    scripted_server.send_event("change", snapshots.change(data_age_s=None))
    await is_old(page, "")
    await expect(page.locator(".not-live")).to_contain_text("It is not known how old these numbers are.")
    none_ran = snapshots.alert("worker", "No worker has run yet. Start one: streamer worker")
    scripted_server.send_event("change", snapshots.change(data_age_s=None, alerts=[none_ran]))
    await expect(page.locator(".notice")).to_have_text(
        "Not liveNo worker has run yet. Start one: streamer worker"
    )


async def test_a_device_that_slept_wakes_up_grey(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    await scripted_server.close()
    await page.clock.fast_forward("02:00:00")
    await is_old(page, "2 h old")


async def test_before_the_first_numbers_it_says_that_it_waits(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.status = 503
    page = await opened(scripted_server.url)
    await expect(page.locator(".notice")).to_have_text("No connection to the server; trying again.")
    await expect(page.locator(".tile")).to_have_count(0)
    scripted_server.status, scripted_server.snapshot = 200, snapshots.snapshot()
    await is_live(page)


async def test_it_comes_back_by_itself_with_the_number_of_now(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(scripted_server.url)
    await is_live(page)
    await scripted_server.close()
    newer = snapshots.tiles()[0] | {"value": 12.0, "lower": 3.0, "upper": 21.0}
    scripted_server.snapshot = snapshots.snapshot(
        pages=[snapshots.page(shown=[newer, *snapshots.tiles()[1:]])]
    )
    await asyncio.sleep(1)  # it tries meanwhile
    await scripted_server.open()
    await expect(page.locator('[data-metric="nps_score"] .number')).to_have_text("12", timeout=15_000)
    await is_live(page)
    assert scripted_server.clients == 1


async def test_many_do_not_come_back_at_the_same_moment(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    """The pauses between attempts grow to 4 to 12 s, and are never the same."""
    scripted_server.status = 503
    page = await opened_by_hand(opened, scripted_server.url)
    pauses: list[float] = []
    await page.expose_function("paused", lambda ms: pauses.append(ms))
    await page.evaluate(
        """() => {
            const wait = window.setTimeout;
            window.setTimeout = (then, ms) => (ms < 20000 && paused(ms), wait(then, ms));
        }"""
    )
    for _ in range(240):
        await page.clock.run_for(500)
    assert len(pauses) >= 8
    late = pauses[5:]
    assert min(late) >= 4_000
    assert max(late) <= 12_000
    assert len(set(late)) == len(late)


async def test_a_connection_that_fell_silent_is_replaced_before_the_numbers_are_old(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    assert len(scripted_server.queries) == 1
    await page.clock.run_for(21_000)
    async with asyncio.timeout(5):
        while len(scripted_server.queries) < 2:
            await page.clock.run_for(500)
    await expect(page.locator(".fresh")).to_contain_text("0 s old")
    await is_live(page)


async def test_a_new_version_is_loaded_at_once_and_the_address_stays(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened, "?view=billing&lang=es&theme=light")
    await page.evaluate("window.loadedBefore = true")
    scripted_server.snapshot = snapshots.snapshot(version="2")
    scripted_server.send_event("heartbeat", snapshots.heartbeat(version="2"))
    await expect(page.locator(".fresh")).to_contain_text("0 s")
    await page.clock.run_for(6_000)
    await page.wait_for_function("window.loadedBefore === undefined")
    assert page.url == f"{scripted_server.url}/?view=billing&lang=es&theme=light"
    await page.clock.run_for(6_000)  # and not again: it is the new one now
    await page.evaluate("window.loadedBefore = true")
    scripted_server.send_event("heartbeat", snapshots.heartbeat(version="2"))
    await page.clock.run_for(60_000)
    assert await page.evaluate("window.loadedBefore")


async def test_a_new_version_waits_for_who_is_using_the_page(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    await page.evaluate("window.loadedBefore = true")
    await page.keyboard.press("ArrowRight")
    scripted_server.send_event("heartbeat", snapshots.heartbeat(version="2"))
    for _ in range(5):
        await page.clock.run_for(10_000)
        scripted_server.send_event("heartbeat", snapshots.heartbeat(version="2"))
    assert await page.evaluate("window.loadedBefore")
    await page.clock.run_for(16_000)
    await page.wait_for_function("window.loadedBefore === undefined")


HIDING = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
"""


async def test_nobody_looks_nothing_is_sent_and_who_looks_again_sees_no_old_number_as_live(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()

    page = await opened_by_hand(opened, scripted_server.url, before=lambda page: page.add_init_script(HIDING))
    await is_live(page)
    await page.evaluate("hide(true)")
    for second in range(4):
        scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=second))
        await expect(page.locator(".fresh span")).to_have_text(f"{second} s old")
        await page.clock.run_for(14_000)
    assert scripted_server.clients == 1
    await page.clock.run_for(5_000)
    async with asyncio.timeout(5):
        while scripted_server.clients:
            scripted_server.send_event("heartbeat", snapshots.heartbeat())
            await asyncio.sleep(0.05)
    await page.clock.run_for(60_000)
    await is_old(page, "82 s old")
    await page.evaluate("hide(false)")
    await is_live(page)


async def test_it_asks_for_the_screen_to_stay_on(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()

    async def listening(page: Page) -> None:
        await page.add_init_script(
            """window.locks = [];
            Object.defineProperty(navigator, "wakeLock", {
                value: { request: async (what) => { locks.push(what); throw new Error("on battery"); } },
            });"""
        )
        await page.add_init_script(HIDING)

    page = await opened(scripted_server.url, before=listening)
    await is_live(page)
    await page.evaluate("(hide(true), hide(false))")
    assert await page.evaluate("locks") == ["screen", "screen"]


async def test_weeks_leave_nothing_behind(scripted_server: ScriptedServer, opened: Opened) -> None:
    """1,000 changes and 10 connections later there are as many nodes and listeners as after the first, and
    no more memory than noise."""
    scripted_server.snapshot = snapshots.snapshot(alerts=[snapshots.alert()])
    page = await opened(scripted_server.url)
    await is_live(page)
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")

    async def held() -> dict[str, float]:
        for _ in range(3):
            await session.send("HeapProfiler.collectGarbage")
        found = (await session.send("Performance.getMetrics"))["metrics"]
        return {one["name"]: one["value"] for one in found}

    async def live(changes: int, connections: int) -> dict[str, float]:
        for connection in range(connections):
            for number in range(changes // connections):
                value = float((connection * 7 + number) % 90)
                tile = snapshots.tiles()[0] | {"value": value, "history": snapshots.history(value, 5)}
                scripted_server.send_event(
                    "change", snapshots.change(tile, alerts=[snapshots.alert()] if number % 2 else [])
                )
            await expect(page.locator('[data-metric="nps_score"] .number')).to_have_text(f"{value:.0f}")
            before = len(scripted_server.queries)
            scripted_server.hang_up()
            async with asyncio.timeout(10):
                while len(scripted_server.queries) == before or scripted_server.clients != 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await expect(page.locator('[data-metric="nps_score"] .number')).to_have_text("74")
        return await held()

    before = await live(200, 4)
    after = await live(1000, 10)
    assert after["Nodes"] <= before["Nodes"] + 20
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 2
    assert after["JSHeapUsedSize"] <= before["JSHeapUsedSize"] + 1_000_000
