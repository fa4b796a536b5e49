"""The supervisor's page: sort, filter, compare, and drill down from any number to its contacts."""

import csv
import re
from collections.abc import AsyncIterator
from itertools import chain
from random import Random

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.metrics.tally import NUMBER
from tests.browser.conftest import Opened, violations
from tests.browser.supervised_center import SupervisedCenter, answered_contact, good_hour, last_hour
from tests.readings.small_center import SmallCenter, pane
from tests.readings.small_center import answered as answered_tally

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
COLUMNS = "metrics=contacts,nps_score,handle_time_seconds"


@pytest_asyncio.fixture(loop_scope="session")
async def small_center() -> AsyncIterator[SupervisedCenter]:
    small_center = SupervisedCenter()
    await small_center.publish(chain(good_hour(), last_hour()))
    async with small_center:
        yield small_center


async def shown(small_center: SupervisedCenter, opened: Opened, query: str = "", **context: object) -> Page:
    page = await opened(f"{small_center.url}?{query}", **{"viewport": DESK, **context})
    await expect(page.locator("main h1")).to_be_attached()
    return page


async def rows(page: Page) -> list[str]:
    """The names in the order of the rows, without `all`."""
    await expect(page.locator("tr.pinned")).to_be_visible()
    return await page.locator("tbody tr[data-at]:not(.pinned) th .value").all_inner_texts()


def cell(page: Page, row: str, column: int) -> Locator:
    return page.get_by_role("row", name=row).get_by_role("gridcell").nth(column)


async def inside(page: Page) -> bool:
    """Tell whether the page is no wider than the window."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


# The table.


async def test_a_cell_says_value_interval_sample_and_in_words_whether_it_is_on_target(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    for row, said in [
        ("Billing & payments", "−47 −70 to −15 · n 30 , Off target"),
        ("support", "73 45 to 88 · n 30 , On target"),
        ("sales", "100 few: 4 of 20"),
        ("All", "19 −4 to 40 · n 64 , Unclear"),
    ]:
        text = await cell(page, row, 1).inner_text()
        assert " ".join(text.split()) == said
        await expect(cell(page, row, 1).locator("svg")).to_have_count(1)


async def test_what_figures_are_of_is_said(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened)
    await expect(page.get_by_text("Of completed contacts")).to_be_visible()


async def test_any_column_sorts_both_ways_and_says_so(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, COLUMNS)
    assert await rows(page) == ["Billing & payments", "sales", "support"]
    head = page.get_by_role("columnheader", name="NPS")
    await head.get_by_role("button").click()
    await expect(head).to_have_attribute("aria-sort", "descending")
    assert await rows(page) == ["sales", "support", "Billing & payments"]
    await head.get_by_role("button").click()
    await expect(head).to_have_attribute("aria-sort", "ascending")
    assert await rows(page) == ["Billing & payments", "support", "sales"]
    assert page.url.endswith(f"?{COLUMNS}&sort=nps_score")


async def test_no_data_comes_last_whichever_way(small_center: SupervisedCenter, opened: Opened) -> None:
    await small_center.publish(answered_contact("n1", "night", "cleo", 5 * MINUTE))
    for sort in ("nps_score", "-nps_score"):
        page = await shown(small_center, opened, f"{COLUMNS}&sort={sort}")
        await expect(page.get_by_role("row", name="night")).to_be_visible()
        assert (await rows(page))[-1] == "night"


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("bill", ["Billing & payments"]),
        ("PAYMENTS", ["Billing & payments"]),
        ("s", ["Billing & payments", "sales", "support"]),
        ("sá", ["sales"]),
        ("nothing like it", []),
    ],
)
async def test_the_filter_knows_names_and_ids_and_no_accents(
    typed: str, left: list[str], small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await page.get_by_role("searchbox").fill(typed)
    await expect(page.locator("tbody tr[data-at]:not(.pinned)")).to_have_count(len(left))
    assert await rows(page) == left
    await expect(page.locator(".filter [role=status]")).to_have_text(
        f"{len(left)} {'queue' if len(left) == 1 else 'queues'}"
    )
    await expect(page).to_have_url(re.compile("[?&]q="))


async def test_columns_are_chosen_and_the_address_keeps_them(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await page.locator(".picker summary").click()
    await page.get_by_role("checkbox", name="NPS").uncheck()
    await page.get_by_role("checkbox", name="Talk time").check()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("checkbox", name="NPS")).to_be_hidden()
    heads = page.locator("thead .title")
    await expect(heads).to_have_text(["Queues", "Contacts", "Handle time", "Talk time"], use_inner_text=True)
    await page.reload()
    await expect(heads).to_have_text(["Queues", "Contacts", "Handle time", "Talk time"], use_inner_text=True)
    await page.get_by_role("searchbox").fill("sá")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV: download Queues").click()
    (row,) = csv.DictReader((await (await download.value).path()).read_text().splitlines())
    assert row["key"] == "sales"
    assert {"contacts_1h", "handle_time_seconds_mean_1h", "talk_time_seconds_mean_1h"} <= row.keys()
    assert "nps_score_1h" not in row


async def test_every_grouping_has_a_table(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened)
    for name, row in [
        ("Teams", "south"), ("Agents", "Ana Ruiz"), ("Channels", "voice"), ("Sites", "Unknown"),
        ("Reasons", "invoice"), ("Languages", "Unknown"), ("Queue × Channel", "Billing & payments · voice"),
    ]:  # fmt: skip
        link = page.get_by_role("navigation").get_by_role("link", name=name)
        await link.click()
        await expect(link).to_have_attribute("aria-current", "page")
        await expect(page.get_by_role("rowheader", name=row)).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("rowheader", name="Unknown")).to_be_visible()


# Comparing.


async def test_two_windows_differ_only_where_their_intervals_are_apart(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await page.get_by_label("Compare with").select_option("Last 24 hours")
    for row, said in [
        ("Billing & payments", ["−47", "31", "−78 worse"]),
        ("support", ["73", "73", "≈ no clear difference"]),
        ("sales", ["100", "100", "Too few"]),
    ]:
        for column, start in enumerate(said, 3):
            text = " ".join((await cell(page, row, column).inner_text()).split())
            assert text.startswith(start), (row, column)
    assert "compare=24h" in page.url


async def test_sorted_by_difference_those_that_differ_come_first(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&compare=24h&sort=nps_score.difference")
    assert await rows(page) == ["Billing & payments", "support", "sales"]
    heads = page.locator("thead [aria-sort=ascending]")
    await expect(heads).to_have_count(1)
    await expect(heads).to_contain_text("Difference NPS")


async def test_who_had_nothing_in_one_of_the_windows_had_none_there(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    await small_center.publish(answered_contact("n1", "night", "cleo", 5 * HOUR))
    page = await shown(small_center, opened, "metrics=answered,nps_score&compare=24h")
    for column, said in enumerate(["0", "1", "−1 no interval", "– No data"]):
        text = await cell(page, "night", column).inner_text()
        assert " ".join(text.split()) == said


async def test_the_same_hours_of_last_week_can_be_compared_with(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&compare=week_before")
    await expect(cell(page, "support", 4)).to_contain_text("–")
    await expect(page.get_by_role("columnheader", name="Same hours last week").first).to_be_visible()


# Behind a number.


async def test_a_number_leads_to_the_contacts_behind_it_newest_detractors_first(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await cell(page, "Billing & payments", 1).click()
    panel = page.get_by_role("complementary", name="NPS Billing & payments")
    await expect(panel.get_by_role("heading", level=2)).to_be_focused()
    await expect(panel.locator(".statement")).to_contain_text("(−70 to −15), 30 answers")
    contacts = panel.locator(".contact")
    await expect(contacts).to_have_count(30)
    times = await contacts.locator("time").all_inner_texts()
    assert times[0] == "21 Nov, 10:58"
    assert times[:20] == sorted(times[:20], reverse=True)
    scores = await contacts.locator(".scores li:first-child").all_inner_texts()
    assert [" ".join(score.split()) for score in scores] == (
        ["NPS 2/10 detractor"] * 3 + ["NPS 0/10 detractor"] + ["NPS 2/10 detractor"] * 16
        + ["NPS 8/10 passive"] * 4 + ["NPS 10/10 promoter"] * 6
    )  # fmt: skip
    worst = contacts.nth(3)
    await expect(worst.locator("blockquote")).to_have_text(
        "I waited twenty minutes and then the line went dead."
    )
    await expect(worst).to_contain_text("Billing & payments · Voice · invoice")
    await expect(worst.get_by_role("link")).to_have_text("Ana Ruiz")
    await expect(worst.locator(".facts")).to_have_text(
        "Wait10 sTalk6:40 minAfter-call20 sHandle time7:00 min"
    )
    await panel.get_by_label("With comments only").check()
    await expect(contacts).to_have_count(3)


async def test_an_nps_is_taken_apart_into_its_answers(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&metric=nps_score&key=billing")
    section = page.get_by_role("region", name="Answers")
    await expect(section).to_be_visible()
    shares = await section.locator(".shares li").all_inner_texts()
    assert [" ".join(share.split()) for share in shares] == [
        "Detractors 67% 20", "Passives 13% 4", "Promoters 20% 6",
    ]  # fmt: skip
    counts = await section.locator(".bars tr td .count").all_inner_texts()
    assert [int(count.split()[0]) for count in counts] == [1, 0, 19, 0, 0, 0, 0, 0, 4, 0, 6]


async def test_a_duration_leads_to_its_newest_contacts_and_has_no_distribution(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&metric=handle_time_seconds&key=sales")
    await expect(page.locator(".contact")).to_have_count(25)
    assert await page.locator(".contact time").first.inner_text() == "21 Nov, 10:57"
    await expect(page.get_by_role("region", name="Answers")).to_have_count(0)
    await expect(page.get_by_role("button", name="Newest first")).to_have_attribute("aria-pressed", "true")


async def test_the_row_of_all_leads_to_the_contacts_of_all(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await cell(page, "All", 1).click()
    await expect(page.get_by_role("complementary", name="NPS All")).to_be_visible()
    await expect(page.locator(".contact")).to_have_count(50)
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator(".contact")).to_have_count(64)


async def test_the_trend_can_be_read_as_a_table(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&metric=nps_score&key=billing")
    await expect(page.locator(".chart canvas")).to_be_visible()
    await page.get_by_text("As a table").click()
    newest = page.locator(".trend tbody tr").first
    await expect(newest).to_have_text("21 Nov, 11:00−47 (−70 to −15) 30 answers")


# One agent.


async def test_days_and_hours_of_the_past_are_a_table_and_a_map_beside_what_is_usual(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    week = 7 * 24 * HOUR
    await small_center.publish(
        chain.from_iterable(answered_contact(f"w{n}", "billing", "ann", n * week - MINUTE) for n in (1, 2))
    )
    page = await shown(small_center, opened, "by=history&of=queue&figure=nps_score&range=today&interval=1d")
    days = page.get_by_role("grid", name="NPS, Day")
    await expect(days.get_by_role("row").nth(1)).to_contain_text("Sat 21 Nov")
    said = await days.get_by_role("gridcell").first.inner_text()
    assert " ".join(said.split()) == "31 10 to 50 · n 70 , Unclear"
    await days.get_by_role("rowheader").click()
    hours = page.get_by_role("grid", name="NPS, Hour")
    await expect(hours.get_by_role("row").nth(1)).to_contain_text("Sat 21 Nov, 11:00")
    assert await violations(page) == []

    choices = page.get_by_role("search").get_by_role("combobox")
    for place, choice in enumerate(("contacts", "last_week", "1w")):
        await choices.nth(place).select_option(choice)
    weeks = page.get_by_role("grid", name="Contacts, Week")
    await expect(weeks.get_by_role("row").nth(1)).to_contain_text("Mon 9 Nov")
    assert await weeks.get_by_role("gridcell").all_inner_texts() == ["1"]
    maps = page.locator(".heat table")
    await expect(maps.nth(1).locator("caption")).to_have_text("Usual: the week before, the only one kept")
    for place in (0, 1):
        assert await maps.nth(place).locator("tr", has_text="11").locator("td").nth(5).inner_text() == "1"


async def test_an_agent_is_shown_beside_the_team(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, "by=agent&window=24h")
    await page.get_by_role("link", name="Ana Ruiz").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ana Ruiz")
    nps = page.locator(".card", has_text="NPS")
    await expect(nps).to_contain_text("−47")
    await expect(nps.locator(".beside")).to_have_text("north 35 (14 to 53) 82 worse")
    await expect(page.locator(".card", has_text="Quality")).to_have_text(
        re.compile("Quality\\s*–\\s*No data")
    )
    lines = page.locator(".trend .key")
    await expect(lines).to_have_text(["Ana Ruiz", "north", "95 % interval", "Target"])
    await expect(page.locator(".contact")).to_have_count(30)
    await expect(page.locator("blockquote").first).to_have_text(
        "I waited twenty minutes and then the line went dead."
    )
    await page.get_by_role("button", name="Handle time").click()
    await expect(page.locator(".trend .caption")).to_contain_text("Handle time")
    assert "metric=handle_time_seconds" in page.url
    await page.get_by_role("link", name="All agents").click()
    await expect(page.get_by_role("grid")).to_be_visible()


# By keyboard.


async def test_the_grid_is_walked_with_the_arrows_opened_with_enter_and_left_with_escape(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await expect(page.locator("tr.pinned")).to_be_visible()
    await page.locator(".picker summary").focus()
    for link in ("CSV", "Excel"):
        await page.keyboard.press("Tab")
        await expect(page.locator(".download a").filter(has_text=link).first).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("rowheader", name="All")).to_be_focused()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        await page.keyboard.press(key)
    billing = cell(page, "Billing & payments", 1)
    await expect(billing).to_be_focused()
    assert await billing.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Billing & payments", level=2)).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Close")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("complementary")).to_have_count(0)
    await expect(billing).to_be_focused()
    await page.keyboard.press("Control+Home")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("columnheader", name="Contacts")).to_have_attribute(
        "aria-sort", "descending"
    )
    await page.keyboard.press("Control+End")
    await expect(cell(page, "sales", 2)).to_be_focused()
    stops = await page.locator(".scroller [tabindex='0']").count()
    assert stops == 1


async def test_escape_closes_the_choice_of_columns_and_goes_back_to_its_button(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    button = page.locator(".picker summary")
    await button.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Escape")
    await expect(button).to_be_focused()
    await expect(page.locator(".picker fieldset")).to_be_hidden()


# Live.


async def test_what_happens_is_in_the_table_within_seconds(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await expect(cell(page, "sales", 0)).to_have_text("25")
    await small_center.publish(answered_contact("new", "sales", "bob", 30 * SECOND))
    await expect(cell(page, "sales", 0)).to_have_text("26", timeout=4_000)


async def test_contacts_that_are_being_read_stay_until_the_new_ones_are_asked_for(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&metric=contacts&key=sales")
    await expect(page.locator(".contact")).to_have_count(25)
    await small_center.publish(answered_contact("new", "sales", "bob", 30 * SECOND))
    await page.get_by_role("button", name="Show what came since").click()
    await expect(page.locator(".contact")).to_have_count(26)
    await expect(page.get_by_role("button", name="Show what came since")).to_have_count(0)


async def test_it_asks_at_most_every_two_seconds(small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, COLUMNS)
    asked: list[str] = []
    page.on("request", lambda request: "by=queue" in request.url and asked.append(request.url))
    for number in range(12):
        await small_center.publish(answered_contact(f"new{number}", "sales", "bob", 30 * SECOND))
        await page.wait_for_timeout(300)
    await expect(cell(page, "sales", 0)).to_have_text("37")
    assert 1 <= len(asked) <= 4


async def test_after_30_s_without_new_data_it_is_grey_and_says_so(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS)
    await expect(page.locator(".fresh")).to_have_text(re.compile("Live [0-9] s old"))
    small_center.now += 31 * SECOND
    await expect(page.locator(".stale")).to_have_text(
        "Not live The server is there, but its data is not new.", timeout=20_000
    )
    await expect(page.locator(".fresh")).to_have_text(re.compile("Not live 3[0-9] s old"))
    await expect(page.locator("main.old .scroller")).to_have_css("opacity", "0.55")
    await small_center.catch_up()
    await expect(page.locator(".stale")).to_have_count(0, timeout=20_000)


async def test_rows_stay_where_they_are_while_somebody_is_in_the_table(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&sort=-contacts")
    assert await rows(page) == ["Billing & payments", "support", "sales"]
    await cell(page, "sales", 0).hover()
    await small_center.publish(
        chain.from_iterable(answered_contact(f"more{n}", "sales", "bob", 30 * SECOND) for n in range(9))
    )
    await expect(cell(page, "sales", 0)).to_have_text("34", timeout=6_000)
    assert await rows(page) == ["Billing & payments", "support", "sales"]
    await page.get_by_role("searchbox").hover()
    await small_center.publish(answered_contact("last", "sales", "bob", 30 * SECOND))
    await expect(cell(page, "sales", 0)).to_have_text("35", timeout=6_000)
    assert await rows(page) == ["sales", "Billing & payments", "support"]


# For everybody.

PAGES = [COLUMNS, f"{COLUMNS}&compare=24h", f"{COLUMNS}&metric=nps_score&key=billing", "agent=ann&window=24h"]


@pytest.mark.parametrize("query", PAGES)
async def test_axe_finds_nothing(query: str, small_center: SupervisedCenter, opened: Opened) -> None:
    page = await shown(small_center, opened, query)
    if "key=" in query or "agent=" in query:
        await expect(page.locator(".contact").first).to_be_visible()
        await expect(page.locator(".chart canvas")).to_be_visible()
    else:
        await expect(page.locator("tr.pinned")).to_be_visible()
        await page.locator(".picker summary").click()
    for scheme in ("dark", "light"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == []


@pytest.mark.parametrize("language", ["en", "es", "zh"])
async def test_on_a_telephone_nothing_stands_out_of_the_window(
    language: str, small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, viewport=PHONE)
    for query in PAGES:
        await page.goto(f"{small_center.url}?{query}&lang={language}")
        if "key=" in query or "agent=" in query:
            await expect(page.locator(".contact").first).to_be_visible()
        else:
            await expect(page.locator("tr.pinned")).to_be_visible()
        assert await inside(page)


async def test_on_a_telephone_the_panel_covers_the_table_and_gives_it_back(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, COLUMNS, viewport=PHONE)
    await cell(page, "Billing & payments", 0).click()
    await expect(page.get_by_role("grid")).to_be_hidden()
    await page.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("grid")).to_be_visible()
    await expect(cell(page, "Billing & payments", 0)).to_be_focused()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Queues", "Compare with", "few: 4 of 20", "NPS", "Of completed contacts"]),
        ("es", ["Colas", "Comparar con", "pocos: 4 de 20", "NPS", "De contactos terminados"]),
        ("zh", ["队列", "对比", "太少：4 / 20", "净推荐值", "这里是已完成的联系"]),
    ],
)
async def test_it_speaks_three_languages(
    language: str, said: list[str], small_center: SupervisedCenter, opened: Opened
) -> None:
    page = await shown(small_center, opened, f"{COLUMNS}&lang={language}")
    await expect(page.locator("tr.pinned")).to_be_visible()
    for words in said:
        await expect(page.get_by_text(words).locator("visible=true").first).to_be_visible()
    await page.goto(f"{small_center.url}?{COLUMNS}&metric=nps_score&key=billing&lang={language}")
    await expect(page.locator(".contact").first).to_be_visible()
    assert "supervisor." not in await page.inner_text("body")


async def test_what_cannot_be_had_is_said_and_known_values_have_names(
    small_center: SupervisedCenter, opened: Opened
) -> None:
    asked = "by=channel&metrics=nps_score,fcr_ratio,lost_metric&metric=nps_score&key=fax"
    page = await shown(small_center, opened, asked)
    await expect(page.get_by_text("Not read by this grouping, so left out: lost_metric.")).to_be_visible()
    left_out = "Not read over this window, so left out: First contact resolution."
    await expect(page.get_by_text(left_out)).to_be_visible()
    await expect(page.locator(".panel").get_by_text("Nothing was counted for this group")).to_be_visible()
    assert await rows(page) == ["Voice"]


# With many rows.

AGENTS = 5_000
TEN = (
    "answered,nps_score,csat_ratio,csat_mean,handle_time_seconds,wait_time_seconds,contacts,repeat_ratio,"
    "surveys,detractors"
)


async def many_agents() -> SupervisedCenter:
    """Each of a team and a queue, with contacts and answers of the last hour."""
    center, random = SmallCenter(), Random(7)
    for first in range(0, AGENTS, 500):
        tallies = {}
        for number in range(first, first + 500):
            place = (
                None,
                f"queue-{number % 200}",
                f"team-{number % 300}",
                f"agent-{number:04d}",
                "voice",
                None,
                None,
            )
            tally = answered_tally(random.randint(1, 9), random.randint(60_000, 600_000))
            for name in ("nps_2", "nps_8", "nps_10", "csat_3", "csat_5", "surveys"):
                tally[NUMBER[name]] = random.randint(1, 20)
            tallies[(pane((number % 3_000) * SECOND), place)] = tally
        await center.add(tallies)
    return SupervisedCenter(store=center.store)


async def test_of_5000_agents_with_10_metrics_no_more_is_in_the_page_than_one_sees(opened: Opened) -> None:
    async with await many_agents() as small_center:
        page = await shown(small_center, opened, f"by=agent&metrics={TEN}")
        await expect(page.locator(".filter .count")).to_have_text("5,000 agents", timeout=30_000)
        await expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "5002")
        rows = page.locator("tbody tr[data-at]")
        assert await rows.count() < 60
        await page.locator("thead button").nth(2).click()
        await page.evaluate("document.querySelector('.scroller').scrollTop = 120000")
        await expect(page.locator("tr[aria-rowindex='2150']")).to_be_visible()
        assert await rows.count() < 60
        await page.get_by_role("searchbox").fill("agent-49")
        await expect(page.locator(".filter .count")).to_have_text("100 agents")
        assert await rows.count() < 60
