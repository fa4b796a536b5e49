"""The wall of a real server: events through Kafka, a server that dies, every view."""

import asyncio
import time

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Opened, overflowing, violations
from tests.browser.full_center import FullCenter

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WATCH = """() => {
    window.seen = [];
    const look = () => {
        const tile = document.querySelector('[data-metric="answered"]');
        const [number, state] = [tile?.querySelector(".number").textContent.trim(), tile?.dataset.state];
        const last = seen.at(-1);
        if (last?.number === number && last?.state === state) return;
        seen.push({ number, state, at: Date.now() / 1000 });
    };
    look();
    const all = { subtree: true, childList: true, attributes: true, characterData: true };
    new MutationObserver(look).observe(document.body, all);
}"""
"""Notes when the number changes, or what is claimed for it."""


async def shown(full_center: FullCenter, opened: Opened, view: str) -> Page:
    page = await opened(f"{full_center.url}/?view={view}")
    await expect(page.locator(".tile").first).to_be_visible()
    await expect(page.locator(".fresh strong")).to_have_text("Live", timeout=15_000)
    return page


async def counted(page: Page) -> int:
    text = await page.locator('[data-metric="answered"] .number').text_content()
    assert text is not None
    return int(text.replace(",", ""))


async def test_each_event_is_on_the_wall_before_the_next(full_center: FullCenter, opened: Opened) -> None:
    """How soon, `python -m tests.benchmarks.live_delay --page` measures."""
    page = await shown(full_center, opened, "count")
    for number in range(5):
        before = await counted(page)
        await full_center.publish_contact(contact_id=f"live-{time.time_ns()}-{number}")
        await expect(page.locator('[data-metric="answered"] .number')).to_have_text(f"{before + 1:,}")


async def test_it_comes_back_after_the_server_was_killed_and_never_showed_an_old_number_as_live(
    full_center: FullCenter, opened: Opened
) -> None:
    async def by_hand(page: Page) -> None:
        await page.clock.install()

    page = await opened(f"{full_center.url}/?view=count", before=by_hand)
    await expect(page.locator(".fresh strong")).to_have_text("Live", timeout=15_000)
    await page.evaluate(WATCH)
    before = await counted(page)
    await full_center.serve.kill()
    try:
        await full_center.publish_contact(contact_id=f"away-{time.time_ns()}")
        await page.clock.run_for(31_000)
        await expect(page.locator(".tile")).to_have_attribute("data-state", "old")
        await expect(page.locator(".not-live")).to_contain_text("No connection to the server; trying again.")
    finally:
        await full_center.serve.start()
    await full_center.wait_until_counted()
    await expect(page.locator(".number")).to_have_text(f"{before + 1:,}", timeout=30_000)
    await expect(page.locator(".tile")).to_have_attribute("data-state", "no_target", timeout=15_000)
    seen = [(one["number"], one["state"]) for one in await page.evaluate("seen")]
    known, now = f"{before:,}", f"{before + 1:,}"
    assert seen[:2] == [(known, "no_target"), (known, "old")]
    assert seen[-1] == (now, "no_target")
    assert (known, "no_target") not in seen[1:]


@pytest.mark.parametrize(
    ("view", "titles", "window", "tiles"),
    [
        ("", ["Wallboard"], "Last hour", 6),
        ("billing", ["Billing & payments"], "Customer care · Last hour", 4),
        ("floor", ["Billing & payments", "support", "sales"], "The floor · Last 4 hours", 2),
        ("count", ["Wallboard"], "Today", 1),
    ],
)
async def test_every_view(
    view: str, titles: list[str], window: str, tiles: int, full_center: FullCenter, opened: Opened
) -> None:
    page = await shown(full_center, opened, view)
    for title in titles:  # they turn by themselves, each 2 s
        await expect(page.locator("h1")).to_have_text(title)
        await expect(page.locator(".window")).to_have_text(window)
        await expect(page.locator(".tile")).to_have_count(tiles)
    assert await overflowing(page) == []
    assert await violations(page) == []


async def test_a_view_that_does_not_exist_is_named(full_center: FullCenter, opened: Opened) -> None:
    page = await opened(f"{full_center.url}/?view=nowhere")
    await expect(page.get_by_role("alert")).to_have_text("There is no view called “nowhere”.")


async def test_the_wall_says_what_the_api_says(full_center: FullCenter, opened: Opened) -> None:
    page = await shown(full_center, opened, "count")
    async with asyncio.timeout(10):
        while await counted(page) != await full_center.reading("answered", window="today"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
