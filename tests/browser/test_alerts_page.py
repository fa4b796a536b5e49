"""Alerts on the pages: on the wallboard, in the supervisor's list, and their explanations."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from streamer.delivery.alert_state import Acknowledgement, set_acknowledgement
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.settings import DisplaySettings, UserSettings
from streamer.web.credentials import token_hash
from tests.alerts.simulated import NPS, drawn, steady, written
from tests.browser.alert_center import QUEUES, AlertCenter, open_alert_center, settings, ten_weeks_of_answers
from tests.browser.conftest import TELEVISION, Opened, overflowing, violations
from tests.browser.supervised_center import NOW, SupervisedCenter
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALL = {"width": 1366, "height": 768}
LOW = "tiles => tiles.filter((tile) => tile.scrollHeight > tile.clientHeight + 1).length"
PEOPLE = {
    "users": {
        "Vera": UserSettings(role="viewer", tokens=[token_hash("of vera")]),
        "Sue": UserSettings(role="supervisor", teams=["north"], tokens=[token_hash("of sue")]),
        "Adam": UserSettings(role="admin", tokens=[token_hash("of adam")]),
    },
    "displays": {"lobby": DisplaySettings(token=token_hash("of the lobby"), view="default")},
}


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """The page asks again after 2 s, and later where answers take long."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


@pytest_asyncio.fixture(loop_scope="session")
async def alert_center(redis_server: RedisServer, center: str) -> AsyncIterator[AlertCenter]:
    async with await open_alert_center(redis_server.url, center) as made:
        yield made


async def page_of(
    alert_center: SupervisedCenter, opened: Opened, query: str = "", who: str = "", **context: Any
) -> Page:
    if who:
        context["extra_http_headers"] = {"authorization": f"Bearer {who}"}
    return await opened(f"{alert_center.url}?{query}", **{"viewport": DESK, **context})


async def wall_of(alert_center: SupervisedCenter, opened: Opened, query: str = "", **context: Any) -> Page:
    page = await opened(f"http://127.0.0.1:{alert_center.port}/{query}", **context)
    await expect(page.locator(".tile").first).to_be_visible()
    return page


def alarm(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))


def said(words: str) -> re.Pattern[str]:
    return re.compile(r"\s*".join(map(re.escape, words.split())))


# On the wall.


@pytest.mark.parametrize(
    ("language", "dropped", "missed"),
    [
        (
            "en",
            "Warning NPS · Billing & payments: lower than usual Since 10:00",
            "Warning Satisfied · whole center: off target Since Fri 09:00",
        ),
        (
            "es",
            "Aviso NPS · Billing & payments: por debajo de lo habitual Desde las 10:00",
            "Aviso Satisfechos · todo el centro: no cumple el objetivo Desde el vie, 09:00",
        ),
        (
            "zh",
            "警告 净推荐值 · Billing & payments：低于平常水平 10:00 起",
            "警告 满意率 · 整个中心：未达目标 周五 09:00 起",
        ),
    ],
)
async def test_a_wall_says_in_its_language_what_fires_and_since_when(
    language: str, dropped: str, missed: str, alert_center: AlertCenter, opened: Opened
) -> None:
    page = await wall_of(alert_center, opened, f"?lang={language}")
    await expect(page.locator(".notice")).to_have_count(0)
    await alert_center.add_alerts(
        alert_center.alert("nps-drop", "billing"), alert_center.alert("one-center", "", ago_ms=26 * HOUR)
    )
    await expect(page.locator(".notice")).to_contain_text(said(dropped))
    await alert_center.resolve_alert("nps-drop", "billing")  # what comes after it is then shown
    await expect(page.locator(".notice")).to_contain_text(said(missed))


async def test_critical_alerts_come_first_and_what_was_seen_is_quiet_and_names_nobody(
    alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(
        alert_center.alert("nps-drop", "billing", ago_ms=MINUTE), alert_center.alert("silence", "")
    )
    page = await wall_of(alert_center, opened)
    notices = page.locator(".notice")
    await expect(notices.first).to_have_text(said("Critical Offered · whole center: nothing is coming in"))
    supervisor = await page_of(alert_center, opened)
    for title in ("nothing is coming in", "lower than usual"):
        await alarm(supervisor, title).get_by_role("button", name="Acknowledge").click()
        await supervisor.get_by_role("textbox", name="Comment").fill("Ana is on it")
        await supervisor.keyboard.press("Enter")
        if title == "nothing is coming in":
            await expect(notices).to_contain_text("lower than usual")  # which nobody has seen yet
    await expect(page.locator(".notice.quiet", has_text="nothing is coming in")).to_contain_text("Seen")
    assert "Ana" not in await page.inner_text("body")


READ_OUT = """() => {
    window.readOut = [];
    for (const region of document.querySelectorAll(".told-alerts [aria-live]")) {
        const note = () => region.textContent && window.readOut.push([region.ariaLive, region.textContent]);
        new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
    }
}"""
"""Notes what a screen reader is told."""


@pytest.mark.parametrize("place", ["wall", "list"])
async def test_each_alert_is_read_out_once_and_critical_ones_at_once(
    place: str, alert_center: AlertCenter, opened: Opened
) -> None:
    page = await (wall_of if place == "wall" else page_of)(alert_center, opened)
    await expect(page.locator(".told-alerts")).to_be_attached()
    await page.evaluate(READ_OUT)
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    await expect(page.get_by_text("lower than usual").first).to_be_attached()
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing", "clearing"))
    await expect(page.get_by_text("Recovering").first).to_be_visible()
    await alert_center.add_alerts(alert_center.alert("silence", ""))
    await expect(page.get_by_text("nothing is coming in").first).to_be_attached()
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    await expect(page.get_by_text("Recovering")).to_have_count(0)
    assert await page.evaluate("window.readOut") == [
        ["polite", "Warning: NPS · Billing & payments: lower than usual"],
        ["assertive", "Critical: Offered · whole center: nothing is coming in"],
    ]


async def test_long_names_and_words_leave_the_tiles_whole(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    name = "Customer retention and winning back of the north-western provinces"
    async with await open_alert_center(
        redis_server.url, center, names={"queue": {"billing": name}}
    ) as alert_center:
        rules = ("handle-time-drop", "service-level-target", "nps-drop")
        await alert_center.add_alerts(
            *(alert_center.alert(rule, "billing", "clearing", ago_ms=26 * HOUR) for rule in rules)
        )
        for language in ("en", "es", "zh"):
            page = await wall_of(alert_center, opened, f"?lang={language}")
            await expect(page.locator(".notice")).to_have_count(1)
            for size in (TELEVISION, SMALL):
                await page.set_viewport_size(size)
                assert await overflowing(page) == []
                assert await page.locator(".tile").evaluate_all(LOW) == 0
                assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_axe_finds_nothing_in_the_banner(alert_center: AlertCenter, opened: Opened) -> None:
    await alert_center.add_alerts(
        alert_center.alert("silence", "", "clearing"), alert_center.alert("nps-drop", "billing")
    )
    for alert in (("nps-drop", "billing"), ("silence", "")):
        await acknowledge(alert_center, *alert)
    page = await wall_of(alert_center, opened, "?theme=auto", viewport=DESK)
    await expect(page.locator(".notice.quiet")).to_be_visible()
    for size in (DESK, PHONE):
        await page.set_viewport_size(size)
        assert await overflowing(page) == []
        for scheme in ("dark", "light"):
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == []


async def acknowledge(alert_center: AlertCenter, rule: str, key: str, by: str = "Ana") -> None:
    episode = alert_center.coordinator.state.alerts_by_group()[rule, key].id
    await alert_center.coordinator.update(
        lambda known: set_acknowledgement(known, episode, Acknowledgement(by, alert_center.now))
    )


# The list.


async def test_without_alerts_a_quiet_line_says_so(alert_center: AlertCenter, opened: Opened) -> None:
    page = await page_of(alert_center, opened)
    section = page.get_by_role("region", name="No alerts")
    await expect(section).to_be_visible()
    await expect(section.get_by_text("Only targets are watched so far")).to_have_count(0)


async def test_while_nobody_knows_what_is_usual_the_page_says_that_only_targets_are_watched(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    async with await open_alert_center(redis_server.url, center, has_baseline=False) as alert_center:
        page = await page_of(alert_center, opened)
        await expect(page.get_by_role("region", name="No alerts")).to_contain_text(
            "Only targets are watched so far: what is usual is not known yet."
        )


async def test_where_nobody_judges_alerts_the_page_says_so(opened: Opened) -> None:
    async with SupervisedCenter() as alert_center:
        page = await page_of(alert_center, opened)
        await expect(page.get_by_role("region", name="No alerts")).to_contain_text(
            "No alerts are judged here."
        )


async def test_what_fires_comes_with_all_that_it_rests_on_and_goes_when_it_is_over(
    alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened)
    await expect(page.get_by_role("region", name="No alerts")).to_be_visible()
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    found = alarm(page, "NPS · Billing & payments: lower than usual")
    whole = "Warning NPS · Billing & payments: lower than usual Since 10:00"
    await expect(found).to_contain_text(said(whole))
    await expect(found.locator(".rests").first).to_have_text(said("−12 (−30 to 6) · 64 answers · usual 31"))
    await expect(found.locator(".moved li")).to_have_text(
        [
            said("Reason Invoice −14 (−42 alone, n 24)"),
            said("Agent Ann −6 (n 18)"),
            said("Team North +3 (n 6)"),
        ]
    )
    await expect(found.locator("h3 svg")).to_have_count(1)
    await alert_center.resolve_alert("nps-drop", "billing", "corrected")
    await expect(found).to_have_count(0)
    await page.locator(".earlier summary").click()
    await expect(alarm(page, "lower than usual")).to_contain_text("with what is known now it was not due")


@pytest.mark.parametrize(
    ("rule", "key", "title", "rests"),
    [
        (
            "one-center",
            "",
            "Satisfied · whole center: off target",
            "71% (66 to 75%) · 64 answers · Target at least 80%",
        ),
        (
            "by-agent",
            "ann",
            "Handle time · Ana Ruiz: higher than usual",
            "6:42 min (6:20 to 7:04 min) · 64 contacts · usual 5:18 min",
        ),
        (
            "silence",
            "",
            "Offered · whole center: nothing is coming in",
            "0, where 14 are usual in that time",
        ),
    ],
)
async def test_each_kind_says_what_it_is_measured_by(
    rule: str, key: str, title: str, rests: str, alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(alert_center.alert(rule, key))
    page = await page_of(alert_center, opened)
    await expect(alarm(page, title).locator(".rests").first).to_have_text(said(rests))


async def test_the_worst_that_nobody_has_seen_comes_first(alert_center: AlertCenter, opened: Opened) -> None:
    await alert_center.add_alerts(
        alert_center.alert("nps-drop", "billing"),
        alert_center.alert("silence", ""),
        alert_center.alert("one-center", ""),
    )
    await acknowledge(alert_center, "silence", "")
    page = await page_of(alert_center, opened)
    section = page.get_by_role("region", name="3 alerts")
    await expect(section).to_contain_text("1 critical · 2 not acknowledged")
    rows = await section.locator(".alarm h3").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["Warning", "Warning", "Critical"]
    await expect(section.locator(".alarm.quiet")).to_contain_text("Acknowledged by Ana, 11:00")


async def test_what_is_pending_or_over_is_behind_a_line(alert_center: AlertCenter, opened: Opened) -> None:
    await alert_center.add_alerts(
        alert_center.alert("csat-drop", "sales", "pending"), alert_center.alert("by-agent", "ann", "resolved")
    )
    page = await page_of(alert_center, opened)
    await page.locator(".earlier summary").click()
    await expect(alarm(page, "Satisfied · sales")).to_contain_text("Pending: not told yet")
    await expect(alarm(page, "Handle time · Ana Ruiz")).to_contain_text("Over since 10:02")
    over = alarm(page, "Handle time · Ana Ruiz").get_by_role("button")
    await expect(over).to_have_count(0)


# What is done about them.


async def test_one_acknowledges_with_a_comment_and_takes_it_back(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    async with await open_alert_center(redis_server.url, center, **PEOPLE) as alert_center:
        await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
        page = await page_of(alert_center, opened, who="of adam")
        found = alarm(page, "lower than usual")
        await found.get_by_role("button", name="Acknowledge").click()
        await expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
        await page.keyboard.type("I call the team lead")
        await page.keyboard.press("Enter")
        await expect(found.locator(".known")).to_have_text(
            said("Acknowledged by Adam, 11:00 I call the team lead")
        )
        back = found.get_by_role("button", name="Take back")
        await expect(back).to_be_focused()
        (seen,) = alert_center.coordinator.state.acknowledged.values()
        assert (seen.by, seen.at, seen.comment) == ("Adam", NOW, "I call the team lead")
        await back.click()
        await expect(found.locator(".known")).to_have_count(0)
        await expect(found.get_by_role("button", name="Acknowledge")).to_be_focused()
        assert alert_center.coordinator.state.acknowledged == {}


def clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, ZoneInfo('Europe/Madrid')):%d %H:%M}"


@pytest.mark.parametrize(
    ("span", "scope", "until", "key"),
    [
        ("15 minutes", "Billing & payments only", "21 11:15", "billing"),
        ("1 hour", "All groups of nps-drop", "21 12:00", None),
        ("4 hours", "Billing & payments only", "21 15:00", "billing"),
        ("Until midnight", "All groups of nps-drop", "22 00:00", None),
    ],
)
async def test_one_silences_a_group_or_a_rule_for_a_while_and_ends_it(
    span: str, scope: str, until: str, key: str | None, alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    page = await page_of(alert_center, opened)
    found = alarm(page, "lower than usual")
    await found.get_by_role("button", name="Silence").click()
    await expect(page.get_by_role("radio", name="15 minutes")).to_be_focused()
    await page.get_by_role("radio", name=span).check()
    await page.get_by_role("radio", name=scope).check()
    await page.get_by_role("textbox", name="Comment").fill("planned")
    await page.get_by_role("form", name="Silence").get_by_role("button", name="Silence").click()
    await expect(found.locator(".known")).to_contain_text("Silenced until")
    (silence,) = alert_center.coordinator.state.silences.values()
    assert (silence.rule, silence.key, clock(silence.until), silence.comment) == (
        "nps-drop", key, until, "planned",
    )  # fmt: skip
    end = found.get_by_role("button", name="End silence")
    await expect(end).to_be_focused()
    await end.click()
    await expect(found.locator(".known")).to_have_count(0)
    assert alert_center.coordinator.state.silences == {}


async def test_a_silence_over_what_does_not_ring_is_listed_and_can_be_ended(
    alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.silencing.silence("nps-drop", None, alert_center.now + HOUR, "Ana")
    page = await page_of(alert_center, opened)
    await page.locator(".earlier summary").click()
    found = page.get_by_role("listitem").filter(has_text="Rule nps-drop · All")
    await expect(found).to_contain_text("Silenced until 12:00 by Ana")
    await found.get_by_role("button", name="End silence").click()
    await expect(found).to_have_count(0)
    assert alert_center.coordinator.state.silences == {}


async def test_what_one_may_not_do_is_said_in_words_and_nothing_is_lost(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    async with await open_alert_center(redis_server.url, center, **PEOPLE) as alert_center:
        await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
        page = await page_of(alert_center, opened, who="of sue")
        await alarm(page, "lower than usual").get_by_role("button", name="Silence").click()
        await page.get_by_role("radio", name="All groups").check()
        await page.get_by_role("textbox", name="Comment").fill("planned")
        await page.keyboard.press("Enter")
        form = page.get_by_role("form", name="Silence")
        await expect(form.get_by_role("alert")).to_have_text(
            "You may not do this: it is not for your teams or your role."
        )
        await expect(page.get_by_role("textbox", name="Comment")).to_have_value("planned")
        await page.get_by_role("radio", name="Billing & payments only").check()
        await form.get_by_role("button", name="Silence").click()
        await expect(form).to_have_count(0)
        assert [one.key for one in alert_center.coordinator.state.silences.values()] == ["billing"]


async def test_an_alertmanager_that_does_not_answer_is_said_in_words(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    alert_center = await open_alert_center(redis_server.url, center)
    alert_center.alertmanager = f"http://127.0.0.1:{free_port()}"
    async with alert_center:
        await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
        page = await page_of(alert_center, opened)
        await alarm(page, "lower than usual").get_by_role("button", name="Silence").click()
        await page.get_by_role("form", name="Silence").get_by_role("button", name="Silence").click()
        await expect(page.get_by_role("alert").filter(has_text="Alertmanager")).to_contain_text(
            "does not answer: nothing was changed"
        )
        assert alert_center.coordinator.state.silences == {}


async def test_viewers_and_displays_have_no_list(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    async with await open_alert_center(redis_server.url, center, **PEOPLE) as alert_center:
        await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
        page = await page_of(alert_center, opened, who="of vera")
        assert "You are not allowed to see this page" in await page.inner_text("body")
        await expect(page.get_by_role("heading", name="lower than usual")).to_have_count(0)


# By keyboard.


async def test_all_is_done_by_keyboard_and_the_focus_goes_back(
    alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    page = await page_of(alert_center, opened)
    await expect(alarm(page, "lower than usual")).to_be_visible()
    await page.get_by_role("button", name="List of alerts").focus()
    walked = []
    for _ in range(4):
        await page.keyboard.press("Tab")
        walked.append(await page.evaluate("document.activeElement.textContent"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert walked == ["Acknowledge", "Silence", "Contacts", "Why?"]
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=2, name="Why?")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Why?")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("complementary", name="NPS Billing & payments")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Contacts")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("form", name="Silence")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("form", name="Silence")).to_have_count(0)
    await expect(page.get_by_role("button", name="Silence")).to_be_focused()


async def test_who_acknowledges_stays_there_though_the_alert_moves_down(
    alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(
        alert_center.alert("nps-drop", "billing"), alert_center.alert("nps-drop", "sales")
    )
    page = await page_of(alert_center, opened)
    first = await page.locator(".alarm h3").first.inner_text()
    await page.get_by_role("button", name="Acknowledge").first.click()
    await expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".alarm h3").last).to_have_text(said(first))
    await expect(page.locator(".alarm").last.get_by_role("button", name="Take back")).to_be_focused()


async def test_who_was_at_an_alert_that_is_gone_is_at_the_head_of_the_list(
    alert_center: AlertCenter, opened: Opened
) -> None:
    await alert_center.add_alerts(alert_center.alert("nps-drop", "billing"))
    page = await page_of(alert_center, opened)
    await alarm(page, "lower than usual").get_by_role("link", name="Contacts").focus()
    await alert_center.resolve_alert("nps-drop", "billing")
    await expect(page.get_by_role("heading", name="No alerts")).to_be_focused()


# Many.


async def test_two_hundred_alerts_at_once_leave_the_table_in_sight(
    alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened)
    queues = [f"queue-{number}" for number in range(200)]
    await alert_center.add_alerts(
        *(alert_center.alert("nps-drop", queue, ago_ms=HOUR + at) for at, queue in enumerate(queues))
    )
    section = page.get_by_role("region", name="200 alerts")
    await expect(section.locator(".alarm")).to_have_count(3)
    await expect(page.get_by_role("grid")).to_be_in_viewport()
    await section.get_by_role("button", name="Show all 200").click()
    await expect(section.locator(".alarm")).to_have_count(200)
    await expect(page.get_by_role("grid")).to_be_in_viewport()
    last = alarm(page, "NPS · queue-199: lower than usual")
    await last.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(last.get_by_role("button", name="Take back")).to_be_focused()
    await alert_center.clear_alerts()
    await expect(page.get_by_role("region", name="No alerts")).to_be_visible()


# Why.


async def test_the_page_says_why_with_the_evidence_over_time(
    alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened, "alert=nps-drop&group=billing")
    panel = page.get_by_role("complementary", name="Why? NPS · Billing & payments")
    await expect(panel.locator(".judged")).to_contain_text("It fires")
    await expect(panel.locator(".sentence")).to_have_text(
        re.compile("−[0-9]+ since [0-9:]+, where [0-9]+ is usual: chance alone does not explain it.")
    )
    await expect(panel.locator(".chart canvas")).to_be_visible()
    await expect(panel.locator(".summary")).to_have_text(
        re.compile("Highest 1[0-9]+% at [0-9:]+; last [0-9]+%")
    )
    await panel.get_by_text("As a table").click()
    rows = panel.locator(".trend tbody tr")
    assert 10 < await rows.count() <= 48
    await expect(panel.get_by_role("row", name="Evidence").last).to_contain_text("of what it takes to fire")
    await expect(panel.get_by_role("row", name="False alarms promised")).to_contain_text(
        "at most 1 a month, of all groups together"
    )
    await expect(panel.locator(".terms")).to_contain_text("false_alarms")


async def test_a_moment_in_the_past_can_be_asked_for_and_is_in_the_address(
    alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened, "alert=nps-drop&group=billing")
    panel = page.get_by_role("complementary")
    await expect(panel.locator(".judged")).to_contain_text("It fires")
    await panel.get_by_label("As of").fill("2026-11-20T12:00")
    await expect(panel.locator(".judged")).to_contain_text("It does not fire")
    assert "at=2026-11-20T11%3A00%3A00Z" in page.url
    await expect(panel.locator(".title")).to_contain_text("As of Fri 12:00")
    await panel.get_by_role("button", name="Now").click()
    await expect(panel.locator(".judged")).to_contain_text("It fires")
    assert "at=" not in page.url


@pytest.mark.parametrize(
    ("query", "verdict", "aim"),
    [
        ("alert=nps-target&group=support", "It does not fire", "Target at least 30"),
        ("alert=one-center", "Too few to judge", "Target at least 80%"),
        ("alert=csat-drop&group=sales", "What is usual is not known yet", ""),
        ("alert=silence", "What is usual is not known yet", ""),
    ],
)
async def test_what_does_not_fire_is_explained_as_well(
    query: str, verdict: str, aim: str, alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened, query)
    panel = page.get_by_role("complementary")
    await expect(panel.locator(".judged")).to_contain_text(verdict)
    if aim:
        await expect(panel.get_by_role("row", name="Target")).to_contain_text(aim)


async def test_a_rule_of_several_groups_asks_which(alert_center: AlertCenter, opened: Opened) -> None:
    page = await page_of(alert_center, opened)
    await page.locator(".earlier summary").click()
    await page.get_by_role("link", name="nps-drop").click()
    panel = page.get_by_role("complementary")
    await expect(panel.locator(".which li")).to_have_text(
        [said("Billing & payments It fires"), re.compile("^sales"), re.compile("^support")]
    )
    await panel.get_by_role("link", name="Billing & payments").click()
    await expect(panel.locator(".judged")).to_contain_text("It fires")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("alert=no-such-rule&group=x", "There is no such rule, or it is not for you to see."),
        ("alert=nps-drop&group=nowhere", "Nothing is known of this group at that time."),
        ("alert=nps-drop&group=billing&at=2031-01-01T00:00:00Z", "That moment is still to come."),
    ],
)
async def test_what_cannot_be_explained_is_said_in_words(
    query: str, words: str, alert_center: AlertCenter, opened: Opened
) -> None:
    page = await page_of(alert_center, opened, query)
    await expect(page.get_by_role("complementary").get_by_text(words)).to_be_visible()


# Judged by the server itself.


async def test_a_drop_is_seen_by_the_server_shown_explained_and_taken_back_when_it_was_a_mistake(
    redis_server: RedisServer, center: str, opened: Opened
) -> None:
    store = await ten_weeks_of_answers()
    made = settings(alerts={"nps-target": {"enabled": False}})
    alert_center = AlertCenter(redis_server.url, center, made, store)
    alert_center.evaluates_rules = True
    async with alert_center:
        page = await page_of(alert_center, opened)
        found = alarm(page, "NPS · Billing & payments: lower than usual")
        await expect(found).to_be_visible()
        await found.get_by_role("link", name="Why?").click()
        await expect(page.locator(".judged")).to_contain_text("It fires")
        part = drawn(QUEUES, 150, NPS, steady(1.0, 0.0, 0.0), days=1)
        moved = np.zeros_like(part.counts)
        moved[-5:, 0] = part.counts[-5:, 0, :1] * np.array([-1, 0, 1])
        await written(part._replace(counts=moved), store=store)
        await expect(found).to_have_count(0)


# For everybody.

QUERIES = ["", "alert=nps-drop&group=billing", "alert=nps-target&group=billing"]


async def three(alert_center: AlertCenter) -> None:
    await alert_center.add_alerts(
        alert_center.alert("silence", "", "clearing"), alert_center.alert("nps-drop", "billing")
    )
    await alert_center.add_alerts(alert_center.alert("one-center", ""))
    await acknowledge(alert_center, "one-center", "")


@pytest.mark.parametrize("query", QUERIES)
async def test_axe_finds_nothing(query: str, alert_center: AlertCenter, opened: Opened) -> None:
    await three(alert_center)
    page = await page_of(alert_center, opened, query)
    if query:
        await expect(page.locator(".chart canvas")).to_be_visible()
    await alarm(page, "lower than usual").get_by_role("button", name="Silence").click()
    await page.locator(".earlier summary").click()
    await expect(page.locator(".rules")).to_be_visible()
    for scheme in ("dark", "light"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == []


@pytest.mark.parametrize("language", ["en", "es", "zh"])
async def test_on_a_telephone_nothing_stands_out_and_no_word_is_missing(
    language: str, alert_center: AlertCenter, opened: Opened
) -> None:
    await three(alert_center)
    page = await page_of(alert_center, opened, f"{QUERIES[0]}&lang={language}", viewport=PHONE)
    await is_whole_on_a_telephone(page, QUERIES[0])
    for query in QUERIES[1:]:
        await page.goto(f"{alert_center.url}?{query}&lang={language}")
        await is_whole_on_a_telephone(page, query)


async def is_whole_on_a_telephone(page: Page, query: str) -> None:
    if query:
        await expect(page.locator(".chart canvas")).to_be_visible()
    else:
        await page.locator(".acts button").nth(1).click()
        await page.locator(".earlier summary").click()
        await expect(page.locator(".rules")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    text = await page.inner_text("body")
    assert not re.search(r"(supervisor|watch|alerts|explain)\.[a-z]", text)
