"""The wallboard's tiles of what is going on now: they tick, warn, fit, and sound on request."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import snapshots
from tests.browser.conftest import Opened, overflowing, violations
from tests.browser.scripted_server import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SIZES = [(1920, 1080), (1080, 1920), (390, 844)]
LOW = (
    "tiles => tiles.filter((tile) => tile.scrollHeight > tile.clientHeight + 1).map((tile) => tile.innerText)"
)
AUDIO = """() => {
    window.tones = 0;
    const gain = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
    class Node { frequency = {}; gain = gain; connect(to) { return to; } stop() {}
        start() { window.tones += 1; } }
    window.AudioContext = class { state = "running"; currentTime = 0; destination = null;
        resume() { return Promise.resolve(); } createOscillator() { return new Node(); }
        createGain() { return new Node(); } };
}"""
"""Counts the tones instead of sounding them."""
TONES = 2
"""Tones of one sound."""


async def shown(scripted_server: ScriptedServer, opened: Opened, query: str = "", **context: Any) -> Page:
    page = await opened(f"{scripted_server.url}/{query}", **context)
    await expect(page.locator(".tile").first).to_be_visible()
    await page.evaluate("document.fonts.ready")
    return page


async def stopped_clock(page: Page, after_s: float = 0) -> None:
    """Let the page's clock stand still; what ticks goes on ticking."""
    await page.clock.set_fixed_time(snapshots.NOW / 1000 + after_s)


def board(*tiles: dict[str, Any], **more: Any) -> dict[str, Any]:
    return snapshots.snapshot(pages=[snapshots.page(shown=[*tiles])], **more)


async def test_a_wait_ticks_and_warns_before_it_is_too_long(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    wait = snapshots.live_tile("longest_wait_seconds", 12, unit="seconds", since=12, near_at=-3, late_at=-8)
    scripted_server.snapshot = board(wait)
    page = await shown(scripted_server, opened, before=stopped_clock)
    tile, number = page.locator(".live-tile"), page.locator(".live-tile .number")
    for after_s, text, state, word in [
        (0, "0:12", "", None),
        (2, "0:14", "", None),
        (3, "0:15", "near", "Soon too long"),
        (8, "0:20", "late", "Too long"),
    ]:
        await stopped_clock(page, after_s)
        await expect(number).to_have_text(text)
        await expect(tile).to_have_attribute("data-state", state)
        await expect(tile.locator(".state")).to_have_count(0 if word is None else 1)
        if word:
            await expect(tile.locator(".state")).to_have_text(word)
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=40))
    await expect(tile).to_have_attribute("data-state", "old")


async def test_tiles_of_now_say_how_much_why_and_where(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    unserved = snapshots.live_tile(
        "agents_available", 0, note={"kind": "signed_in", "text": "", "count": 18}
    ) | {"state": "unserved"}
    nothing = snapshots.live_tile("agents_away", None, note={"kind": "no_states", "text": "", "count": None})
    tiles = [*snapshots.live_tiles()[:2], unserved, nothing]
    scripted_server.snapshot = board(*tiles, *snapshots.tiles())
    page = await shown(scripted_server, opened)
    for metric, words in [
        ("waiting", ["Waiting", "7", "Too long", "2 longer than the target"]),
        ("longest_wait_seconds", ["Longest wait", "0:4", "Too long", "Billing & payments"]),
        ("agents_available", ["Available", "0", "Nobody free", "of 18 signed in"]),
        ("agents_away", ["Away", "–", "No data", "No states are sent"]),
    ]:
        tile = page.locator(f'.strip [data-metric="{metric}"]')
        for word in words:
            await expect(tile).to_contain_text(word)
    assert await page.locator(".tiles .tile").count() == 6
    assert await violations(page) == []


TABLE = snapshots.queue_table(
    snapshots.queue_row("<b>Billing</b> & payments", 5, 0, since=42, near_at=27, late_at=22),
    snapshots.queue_row("Technical help", 2, 3, since=16, near_at=1, late_at=-4),
    snapshots.queue_row(
        "Sales", 0, 2, service_level={"value": None, "state": "few"}, near_at=None, abandoned=0
    ),
    snapshots.queue_row("Unknown now", None, None, service_level={"value": 0.6, "state": "missed"}),
    more=3,
)
AGENTS = snapshots.agent_states(available=2, busy=14, wrap_up=3, away=7, unknown=1)


async def test_the_mark_of_an_alert_leaves_the_number_free(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    wait = snapshots.live_tile("longest_wait_seconds", 244, unit="seconds", since=244, near_at=-3, late_at=-8)
    others = [snapshots.live_tile(name, 21) for name in ("waiting", "agents_available")]
    subject = {"metric": "longest_wait_seconds", "by": "queue", "key": "billing", "group": "Billing"}
    alert = snapshots.alert("limit", "", what="over", window="now", **subject)
    scripted_server.snapshot = board(others[0], wait, others[1], *snapshots.tiles(), alerts=[alert])
    page = await shown(scripted_server, opened, before=stopped_clock)
    tile = page.locator('[data-metric="longest_wait_seconds"]')
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        mark = await tile.locator(".alert-mark").bounding_box()
        number = await tile.locator(".number").bounding_box()
        assert mark is not None
        assert number is not None
        is_beside = mark["x"] + mark["width"] <= number["x"]
        is_above = mark["y"] + mark["height"] <= number["y"]
        assert is_beside or is_above, (width, mark, number)
        # In the strip the group is for screen readers.
        assert [cut for cut in await overflowing(page) if not cut.startswith("whose")] == [], width


async def test_the_tables_of_queues_and_agents_say_what_waits_and_who_is_there(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = board(TABLE, AGENTS)
    page = await shown(scripted_server, opened, before=stopped_clock)
    rows = [" ".join(text.split()) for text in await page.locator(".queue-table tbody tr").all_inner_texts()]
    assert rows == [
        "<b>Billing</b> & payments 5 Too long: 0:42 Nobody free: 0 On target: 84% 12",
        "Technical help 2 Soon too long: 0:16 3 On target: 84% 12",
        "Sales 0 0:00 2 Too few 0",
        "Unknown now – – – Off target: 60% 12",
    ]
    assert "27 signed in" in await page.locator(".agent-states").inner_text()
    states = [
        " ".join(text.split()) for text in await page.locator(".agent-states dl > div").all_inner_texts()
    ]
    assert states == [
        "Available 2", "Busy 14", "After-call work 3", "Away 7 lunch 4 training 2 no reason given 1",
        "Not heard of 1",
    ]  # fmt: skip
    assert await violations(page) == []


@pytest.mark.parametrize("language", ["en", "es", "zh"])
async def test_nothing_is_cut_off_in_any_language(
    language: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    alerts = [snapshots.alert(f"other-{place}") for place in range(2)]
    page: Page | None = None
    busy = [
        snapshots.live_tile("waiting", 28, late_at=2, note={"kind": "over", "text": "", "count": 13}),
        snapshots.live_tiles()[1],
        snapshots.live_tile("agents_available", 196, note={"kind": "signed_in", "text": "", "count": 864}),
    ]
    for tiles in ([*busy, *snapshots.tiles()], [*snapshots.live_tiles(), TABLE, AGENTS]):
        for warned in ([], alerts):
            scripted_server.snapshot = board(*tiles, alerts=warned)
            page = await shown(scripted_server, opened, f"?lang={language}") if page is None else page
            await page.reload()
            await expect(page.locator(".notice")).to_have_count(min(1, len(warned)))
            for width, height in SIZES:
                await page.set_viewport_size({"width": width, "height": height})
                cut = [one for one in await overflowing(page) if not one.startswith(("note", "queue"))]
                assert cut == [], (width, len(warned))
                assert await page.locator(".tile:not(.strip .tile)").evaluate_all(LOW) == [], (
                    width,
                    len(warned),
                )
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_bell_rings_from_none_to_one_and_every_20_s_until_it_was_heard(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = board(snapshots.live_tile("waiting", 0))
    page = await shown(scripted_server, opened)
    steps: list[tuple[float, dict[str, int] | str, bool]] = [
        (0, {"waiting": 1, "alerts": 0}, False),  # what was there when the page was opened is no news
        (1, {"waiting": 0, "alerts": 0}, False),
        (2, {"waiting": 1, "alerts": 0}, True),
        (3, {"waiting": 2, "alerts": 0}, False),
        (21, {"waiting": 2, "alerts": 0}, False),
        (22, {"waiting": 2, "alerts": 0}, True),
        (23, {"waiting": 2, "alerts": 1}, True),  # another thing is not kept waiting
        (24, "heard", False),
        (60, {"waiting": 1, "alerts": 1}, False),
        (61, {"waiting": 0, "alerts": 1}, False),
        (62, {"waiting": 3, "alerts": 1}, True),
        (63, {"waiting": 0, "alerts": 0}, False),
        (99, {"waiting": 0, "alerts": 0}, False),  # it is over
    ]
    rung = await page.evaluate(
        """async (steps) => {
            const { Bell } = await import("/static/sound.js");
            let rings = 0;
            const bell = new Bell(() => (rings += 1));
            return steps.map(([at, counts]) => {
                const before = rings;
                if (counts === "heard") bell.heard();
                else bell.update(counts, at * 1000);
                return rings > before;
            });
        }""",
        [step[:2] for step in steps],
    )
    assert rung == [rings for _, _, rings in steps]


async def test_sound_is_on_request_remembered_and_acknowledged(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    async def counted(page: Page) -> None:
        await page.add_init_script(f"({AUDIO})()")

    def waiting(count: int) -> dict[str, Any]:
        return snapshots.live_tile("waiting", count)

    scripted_server.snapshot = board(waiting(0))
    page = await shown(scripted_server, opened, before=counted)
    button, heard = page.get_by_role("button", name="Sound"), page.get_by_role("button", name="Heard")

    async def change(count: int, sounds: int) -> None:
        """Let so many wait; so many times it has sounded then."""
        scripted_server.send_event("change", snapshots.change(waiting(count)))
        await expect(page.locator(".live-tile .number")).to_have_text(str(count))
        await page.wait_for_function("tones => window.tones === tones", arg=TONES * sounds)

    await change(1, 0)
    await change(0, 0)
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await change(0, 1)
    await change(1, 2)
    await heard.click()
    await expect(heard).to_have_count(0)
    await page.reload()
    await expect(button).to_have_attribute("aria-pressed", "true")
    await change(0, 0)
    await change(1, 1)
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "false")
    await expect(heard).to_have_count(0)
