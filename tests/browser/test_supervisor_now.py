"""The supervisor's tab of what is going on now: queues, who waits, what agents do."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect
from starlette.responses import JSONResponse

from tests.browser import snapshots
from tests.browser.conftest import Opened, violations
from tests.browser.live_floor import LIMITS, agent_now, floor_answers, queue_now, waiting_contact
from tests.browser.scripted_server import ScriptedServer
from tests.browser.snapshots import NOW
from tests.browser.supervised_center import SupervisedCenter

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESK = {"width": 1440, "height": 900}
HOSTILE = "<img src=x onerror=alert(1)>"
QUEUES = {
    "billing": queue_now(3, 142, 2, 14, agents=(3, 0, 1, 1, 1, 0)),
    HOSTILE: queue_now(1, 12, 0, 8, agents=(2, 1, 0, 0, 1, 0)),
    "sales": queue_now(0, 0, 0, 0, agents=(0, 0, 0, 0, 0, 0)),
}
CONTACTS = [
    waiting_contact("billing", 9), waiting_contact("billing", 142), waiting_contact("billing", 31),
    waiting_contact(HOSTILE, 12, state="offered", agent_id="cat", priority=2, channel="chat"),
    waiting_contact("billing", 700, state="connected"),
]  # fmt: skip
AGENTS = [
    agent_now("busy", 50, agent_id="bob"),
    agent_now("wrap_up", 301, agent_id="ann"),
    agent_now("away", 1700, agent_id="dan", reason=HOSTILE),
    agent_now("available", 7, "south", agent_id="cat", queues=[HOSTILE]),
    agent_now("away", 1900, "south", agent_id="eve", queues=[HOSTILE]),
]


async def shown(
    scripted_server: ScriptedServer, opened: Opened, answers: dict[str, Any], query: str = "", **context: Any
) -> Page:
    async def still(page: Page) -> None:
        await page.clock.set_fixed_time(NOW / 1000)

    scripted_server.answers = answers
    scripted_server.snapshot = snapshots.snapshot(long_states_s=LIMITS)
    url = f"{scripted_server.url}/supervisor?by=now{query}"
    page = await opened(url, **{"viewport": DESK, "before": still, **context})
    await expect(page.locator(".now-sections")).to_be_visible()
    return page


async def lines(page: Page, selector: str) -> list[str]:
    return [" ".join(text.split()) for text in await page.locator(selector).all_inner_texts()]


async def test_the_first_tab_says_who_waits_how_long_and_what_agents_do(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    page = await shown(scripted_server, opened, floor_answers(QUEUES, CONTACTS, AGENTS))
    await expect(page.locator(".groupings a").first).to_have_text("Now")
    assert await lines(page, ".summary dd") == ["4", "2:22", "22", "1", "1", "1", "2"]
    assert await lines(page, ".queues-now tbody tr") == [
        "Billing & payments 3 Too long: 2:22 2 14 Nobody free: 0 1 1 1",
        f"{HOSTILE} 1 0:12 0 8 1 0 0 1",
        "sales 0 0:00 0 0 0 0 0 0",
    ]
    assert [line.split(" 10:")[0] for line in await lines(page, ".waiting-list li")] == [
        "Too long: 2:22 Billing & payments Voice", "Too long: 0:31 Billing & payments Voice",
        f"0:12 {HOSTILE} Chat · rings at cat · priority 2", "0:09 Billing & payments Voice",
    ]  # fmt: skip
    assert await lines(page, ".agents-now tbody tr") == [
        f"eve Away unusually long: 31:40 {HOSTILE} south",
        "ann After-call work unusually long: 5:01 Billing & payments north",
        f"cat Available 0:07 {HOSTILE} south",
        "bob Busy 0:50 Billing & payments north",
        f"dan Away {HOSTILE} 28:20 Billing & payments north",
    ]
    await expect(page.locator(".unusual")).to_have_text(
        "Unusually long: 2 (after-call work over 5:00, away over 30:00)"
    )
    assert await violations(page) == []
    await page.clock.set_fixed_time(NOW / 1000 + 101)
    scripted_server.send_event("heartbeat", snapshots.heartbeat(now=NOW + 101_000))
    await expect(page.locator(".agents-now .is-near")).to_have_count(3)
    scripted_server.answers["agents"] = JSONResponse(AGENTS, headers={"x-total-count": "1500"})
    await page.reload()
    await expect(page.locator(".agents-now > p.none")).to_have_text(
        "The first 5 are listed, those away or in after-call work first; 1,495 more are not. "
        "Choose a queue or a team."
    )


async def test_states_that_were_counted_are_on_the_tab_and_on_the_wall(opened: Opened) -> None:
    """The real server: the names of its API are those that the page reads."""
    center = SupervisedCenter()
    at = (center.now - 42_000) / 1000
    waits = {"contact_id": "c1", "queue": "billing", "state": "queued", "at": at, "channel": "voice"}
    busy = {"agent_id": "ann", "state": "busy", "at": at, "queues": ["billing"], "team": "north"}
    await center.publish([("contact-state", waits), ("agent-state", busy)])
    async with center:
        page = await opened(f"{center.url}?by=now", viewport=DESK)
        await expect(page.locator(".waiting-list .age")).to_have_text(re.compile("^Too long: 0:4"))
        await expect(page.locator(".waiting-list .what")).to_contain_text("Billing & payments Voice")
        (line,) = await lines(page, ".agents-now tbody tr")
        assert re.fullmatch("Ana Ruiz Busy 0:4. Billing & payments north", line)
        assert await lines(page, ".summary dt:has-text('Available') + dd") == ["Nobody free: 0"]
        await page.goto(center.url.removesuffix("supervisor"))
        await expect(page.locator(".strip .number")).to_have_text(["1", re.compile("^0:4"), "0"])


async def test_queue_and_team_narrow_it_and_the_address_keeps_them(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    page = await shown(scripted_server, opened, floor_answers(QUEUES, CONTACTS, AGENTS))
    await page.get_by_role("combobox", name="Team").select_option("south")
    await expect(page).to_have_url(re.compile("by=now&team=south$"))
    await expect(page.locator(".agents-now tbody tr")).to_have_count(2)
    assert [line.split(" ")[0] for line in await lines(page, ".queues-now tbody tr")] == ["<img"]
    await page.get_by_role("combobox", name="Team").select_option("")
    await page.get_by_role("button", name="Billing & payments").press("Enter")
    await expect(page).to_have_url(re.compile("by=now&queue=billing$"))
    await expect(page.locator(".waiting-list li")).to_have_count(3)
    await page.get_by_role("button", name="Away 1").click()
    await expect(page.locator(".agents-now tbody th")).to_have_text(["dan"])
    await page.reload()
    await expect(page.locator(".waiting-list li")).to_have_count(3)


@pytest.mark.parametrize(
    ("sentence", "value", "said"),
    [
        ("nothing is sent", None, ["–"] * 7 + ["not known here who waits", "not known here who is free"]),
        ("nobody is there", 0, ["0", "0:00", *["0"] * 5, "Nobody waits.", "Nobody is signed in."]),
    ],
)
async def test_what_is_not_known_is_no_zero(
    sentence: str, value: int | None, said: list[str], scripted_server: ScriptedServer, opened: Opened
) -> None:
    queues = {key: dict.fromkeys(row, value) for key, row in QUEUES.items()}
    answers, phone = floor_answers(queues, [], []), {"width": 390, "height": 844}
    page = await shown(scripted_server, opened, answers, viewport=phone)
    found = [*await lines(page, ".summary dd"), *await lines(page, ".now-sections .none")]
    assert len(found) == len(said), sentence
    for text, expected in zip(found, said, strict=True):
        assert text.endswith(expected) or expected in text, sentence
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
