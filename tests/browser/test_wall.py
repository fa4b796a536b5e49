"""The wallboard: every state, size, language and theme, and how it is used."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.async_api import Page, expect

from streamer.metrics.catalogue import CATALOGUE
from tests.browser import snapshots
from tests.browser.conftest import Opened, opened_by_hand, overflowing, violations
from tests.browser.scripted_server import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 390, "height": 844}
TELEVISIONS = [{"width": 1920, "height": 1080}, {"width": 3840, "height": 2160}]
SIZES = [*TELEVISIONS, {"width": 1366, "height": 768}, {"width": 1080, "height": 1920}, PHONE]
LOW = "tiles => tiles.filter((tile) => tile.scrollHeight > tile.clientHeight + 1).length"
LANGUAGES = ["en", "es", "zh"]

DIGITS = """(number) => {
    const look = getComputedStyle(number);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${look.fontWeight} ${look.fontSize} ${look.fontFamily}`;
    const { actualBoundingBoxAscent: up, actualBoundingBoxDescent: down } = pen.measureText("7");
    return (up + down) / innerHeight;
}"""
"""How much of the window's height a digit is, without the room above and below it."""


async def shown(scripted_server: ScriptedServer, opened: Opened, query: str = "", **context: Any) -> Page:
    return await seen(await opened(f"{scripted_server.url}/{query}", **context))


async def shown_by_hand(
    scripted_server: ScriptedServer, opened: Opened, query: str = "", **context: Any
) -> Page:
    return await seen(await opened_by_hand(opened, f"{scripted_server.url}/{query}", **context))


async def seen(page: Page) -> Page:
    await expect(page.locator(".tile").first).to_be_visible()
    await page.evaluate("document.fonts.ready")
    return page


def text(words: str) -> re.Pattern[str]:
    """Match these words in an element, with any kind of space between them."""
    return re.compile(r"^\s*" + r"\s*".join(map(re.escape, words.split())) + r"\s*$")


TILES = [
    ("nps_score", "NPS", "74 (64 to 81), 112 answers", "On target", "Target at least 30"),
    ("csat_ratio", "Satisfied", "72 % (66 to 77%), 244 answers", "Off target", "Target at least 80%"),
    (
        "service_level_ratio", "Service level", "81 % (78 to 84%), 631 contacts", "Unclear",
        "Target at least 80%",
    ),
    ("fcr_survey_ratio", "Solved at once", "too few answers (4 of 20)", "Too few", "Target at least 70%"),
    ("qa_score", "Quality", "–", "No data", "Target at least 85"),
    ("handle_time_seconds", "Handle time", "6:42 min (6:31 to 6:52 min), 1,204 contacts", "No target", ""),
]  # fmt: skip


async def test_a_tile_says_its_number_its_interval_its_sample_its_target_and_its_state_in_words(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    for metric, name, figure, state, aim in TILES:
        tile = page.locator(f'[data-metric="{metric}"]')
        await expect(tile.locator(".name")).to_have_text(name)
        await expect(tile.locator(".figure")).to_have_text(text(figure))
        await expect(tile.locator(".state")).to_have_text(state)
        await expect(tile.locator(".aim")).to_have_text(aim)


async def test_every_state_has_a_shape_of_its_own(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    shapes = await page.locator(".state .shape").evaluate_all("shapes => shapes.map((one) => one.innerHTML)")
    assert len(shapes) == 6
    assert len(set(shapes)) == 6


async def test_an_arrow_stands_only_where_last_week_was_different_and_says_which_way_is_good(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened)
    told = {
        await tile.get_attribute("data-metric"): await tile.locator(".trend .unseen").all_text_contents()
        for tile in await page.locator(".tile").all()
    }
    assert told == {
        "nps_score": ["Higher than in the same hours last week, which had 52: better"],
        "csat_ratio": ["Lower than in the same hours last week, which had 86%: worse"],
        "service_level_ratio": [],
        "fcr_survey_ratio": [],
        "qa_score": [],
        "handle_time_seconds": ["Lower than in the same hours last week, which had 7:35\u00a0min: better"],
    }


def known(*values: float | None) -> list[list[float | None]]:
    """A value each four minutes, the newest now."""
    return [
        [snapshots.NOW - 240_000 * (len(values) - 1 - place), value] for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("sentence", "history", "lines", "dots", "since"),
    [
        ("no gap", known(*range(10)), 1, 1, []),
        ("a gap is a gap", known(1, 2, 3, None, None, 4, 5, 6), 2, 1, []),
        ("nothing is known now", known(1, 2, 3, 4, 5, None), 1, 0, []),
        ("what begins late says when", known(None, None, None, 1, 2, 3), 1, 1, ["Since 10:52"]),
        ("one point is no line", known(None, None, 1), 0, 0, []),
        ("nothing", [], 0, 0, []),
    ],
)
async def test_a_sparkline_hides_no_gap(
    sentence: str,
    history: Any,
    lines: int,
    dots: int,
    since: list[str],
    scripted_server: ScriptedServer,
    opened: Opened,
) -> None:
    tile = snapshots.tile("nps_score", 5, "met", history=history, target=3)
    scripted_server.snapshot = snapshots.snapshot(pages=[snapshots.page(shown=[tile])])
    page = await shown(scripted_server, opened)
    assert await page.locator(".spark .line").count() == lines, sentence
    assert await page.locator(".spark .now").count() == dots, sentence
    assert await page.locator(".course figcaption").all_text_contents() == since, sentence


@pytest.mark.parametrize("count", range(1, 7))
async def test_on_a_television_digits_are_12_percent_of_the_height_and_states_25_mm(
    count: int, scripted_server: ScriptedServer, opened: Opened
) -> None:
    met = snapshots.tiles()[0]
    tiles = [met | {"id": f"{place}"} for place in range(count)]
    warnings = [figured_alert(f"other-{place}") for place in range(4)]
    scripted_server.snapshot = snapshots.snapshot(pages=[snapshots.page(shown=tiles)])
    page = await shown(scripted_server, opened)
    for banners, event in enumerate(
        (snapshots.change(alerts=warnings), snapshots.change(alerts=warnings, data_age_s=99)), start=1
    ):
        for size in TELEVISIONS:
            await page.set_viewport_size(size)
            digits = await page.locator(".number").evaluate_all(f"numbers => numbers.map({DIGITS})")
            assert len(digits) == count
            assert min(digits) >= 0.12
            assert min(await page.locator(".below .state").evaluate_all(MILLIMETRES)) >= 25
            assert await overflowing(page) == []
            assert await page.locator(".tile").evaluate_all(LOW) == 0
            assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert await page.locator(".tile .spark").count() == count
        scripted_server.send_event("change", event)
        await expect(page.locator(".notice")).to_have_count(banners)


def widest(metric: str) -> dict[str, Any]:
    """A tile as wide as it gets."""
    found = CATALOGUE[metric]
    value, lower, upper = {
        "points": (-100.0, -100.0, -88.2), "ratio": (1.0, 0.964, 1.0), "score": (4.44, 4.31, 4.52),
        "seconds": (5944.0, 5804.0, 5999.0), "count": (12_345.0, None, None), "erlangs": (444.4, None, None),
        "currency": (1_234_567.0, None, None),
    }[found.unit]  # fmt: skip
    return snapshots.tile(
        metric, value, "missed", unit=found.unit, better=found.better, stat=found.stats[-1], lower=lower,
        upper=upper, support=44_444, least_support=20, currency="EUR",
        target={"seconds": 75, "ratio": 0.805}.get(found.unit, 85), trend="down", trend_is_good=False,
        last_week={"value": value, "lower": 0, "upper": 1, "support": 9}, history=snapshots.history(3, 1),
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_metric_has_room_in_every_language(
    language: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    metrics = list(CATALOGUE)
    pages = [
        snapshots.page(shown=[widest(one) for one in metrics[at : at + 6]])
        for at in range(0, len(metrics), 6)
    ]
    scripted_server.snapshot = snapshots.snapshot(pages=pages)
    page = await shown(scripted_server, opened, f"?lang={language}")
    cut: list[str] = []
    for _ in pages:
        cut += await overflowing(page)
        await page.keyboard.press("ArrowRight")
    assert cut == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_nothing_is_cut_off_at_any_size(
    language: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot(
        title="Customer care",
        pages=[snapshots.page("Billing", "billing"), snapshots.page("Support", "support")],
    )
    page = await shown(scripted_server, opened, f"?lang={language}")
    for size in SIZES:
        await page.set_viewport_size(size)
        assert await overflowing(page) == [], size
    scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=31))
    await expect(page.locator(".not-live")).to_be_visible()
    for size in SIZES:
        await page.set_viewport_size(size)
        assert await overflowing(page) == [], size
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Wallboard", "Last hour", "Live", "Service level", "(78 to 84%), 631 contacts", "Unclear"]),
        (
            "es",
            [
                "Panel",
                "Última hora",
                "En vivo",
                "Nivel de servicio",
                "(78 a 84\u00a0%), 631 contactos",
                "Incierto",
            ],
        ),
        ("zh", ["看板", "最近 1 小时", "实时", "服务水平", "(78 至 84%)，631 次联系", "尚不确定"]),
    ],
)
async def test_it_speaks_three_languages(
    language: str, said: Sequence[str], scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened, f"?lang={language}")
    tile = page.locator('[data-metric="service_level_ratio"]')
    places = [page.locator("h1"), page.locator(".window"), page.locator(".fresh strong")]
    places += [tile.locator(".name"), tile.locator(".detail"), tile.locator(".state")]
    for place, words in zip(places, said, strict=True):
        await expect(place).to_have_text(words)
    assert (await page.evaluate("document.documentElement.lang")).startswith(language)


@pytest.mark.parametrize(
    ("locale", "query", "title", "handled", "clock"),
    [
        ("es-MX", "", "Panel", "1,204 contactos", "11:00 a.m."),
        ("es-ES", "", "Panel", "1204 contactos", "11:00"),
        ("zh-TW", "", "看板", "1,204 次联系", "上午11:00"),
        ("en-US", "", "Wallboard", "1,204 contacts", "11:00 AM"),
        ("de-DE", "", "Wallboard", "1,204 contacts", "11:00"),
        ("de-DE", "?lang=es", "Panel", "1204 contactos", "11:00"),
        ("en-US", "?lang=xx", "Wallboard", "1,204 contacts", "11:00 AM"),
    ],
)
async def test_language_numbers_and_times_follow_the_browser_unless_asked_otherwise(
    locale: str,
    query: str,
    title: str,
    handled: str,
    clock: str,
    scripted_server: ScriptedServer,
    opened: Opened,
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened, query, locale=locale)
    await expect(page.locator("h1")).to_have_text(title)
    await expect(page.locator('[data-metric="handle_time_seconds"] .detail')).to_contain_text(handled)
    await expect(page.locator(".clock time")).to_have_text(re.compile(f"^{re.escape(clock)}$", re.IGNORECASE))


async def test_the_clock_is_the_servers_in_the_sites_zone(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot(timezone="Asia/Manila")

    async def another_year(page: Page) -> None:
        await page.clock.install(time="2031-01-01T00:00:00Z")

    page = await shown(scripted_server, opened, before=another_year, timezone_id="America/New_York")
    await expect(page.locator(".clock time")).to_have_text("18:00")
    await expect(page.locator(".zone")).to_have_text("Asia/Manila")


@pytest.mark.parametrize(
    ("size", "device", "query", "theme"),
    [
        (TELEVISIONS[0], "light", "", "dark"),
        (TELEVISIONS[0], "dark", "?theme=light", "light"),
        (TELEVISIONS[0], "light", "?theme=auto", "light"),
        (PHONE, "light", "", "light"),
        (PHONE, "dark", "", "dark"),
        (PHONE, "light", "?theme=dark", "dark"),
    ],
)
async def test_walls_are_dark_and_what_is_held_in_the_hand_follows_the_device(
    size: dict[str, int], device: str, query: str, theme: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened, query, viewport=size, color_scheme=device)
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"dark": "rgb(10, 13, 17)", "light": "rgb(238, 236, 230)"}[theme]


@pytest.mark.parametrize("data_age_s", [0.2, 45, None], ids=["live", "old", "unknown"])
async def test_axe_finds_nothing(
    data_age_s: float | None, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot(
        data_age_s=data_age_s, rotate_s=600, title="Customer care",
        pages=[snapshots.page("Billing", "billing"), snapshots.page("Support", "support")],
        alerts=[figured_alert("one"), snapshots.alert("store", "The store is away.", severity="critical")],
    )  # fmt: skip
    page = await shown(scripted_server, opened, "?theme=auto", color_scheme="dark")
    assert await violations(page) == []
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)
    assert await violations(page) == []


async def test_alerts_are_a_banner_in_the_pages_language(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot(
        alerts=[snapshots.alert("behind", "Behind."), snapshots.alert("other", "Something else.")]
    )
    page = await shown_by_hand(scripted_server, opened, "?lang=es")
    notice = page.locator(".notice")
    behind = "Aviso Los números van con retraso: aún se cuentan eventos. Desde las 10:55 1 de 2"
    await expect(notice).to_have_text(text(behind))
    await page.clock.run_for(7_200)
    await expect(notice).to_have_text(text("Aviso Something else. Desde las 10:55 2 de 2"))
    assert await notice.locator(".what").get_attribute("lang") == "en"
    scripted_server.send_event("change", snapshots.change())
    await expect(page.locator(".notice")).to_have_count(0)


def figured_alert(name: str, **more: Any) -> dict[str, Any]:
    """An alert of the satisfied of Billing, off target for 15 minutes."""
    current = {
        "value": 0.7214, "lower": 0.662, "upper": 0.774, "support": 244, "least_support": 20,
        "currency": None, "target": 0.8, "state": "missed",
    }  # fmt: skip
    subject = {"metric": "csat_ratio", "by": "queue", "key": "billing", "group": "Billing", "unit": "ratio"}
    fired = {"fired_at": snapshots.NOW - 240_000, "fired_value": 0.68, "acknowledged": False}
    return snapshots.alert(
        "threshold", "", id=name, what="missed", better="higher", window="15m", current=current,
        **subject | fired | more,
    )  # fmt: skip


async def test_five_alerts_are_shown_one_after_the_other_with_their_figures_and_mark_their_tiles(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    names = [f"Queue {number}" for number in range(6)]
    alerts = [figured_alert(name, key=name, group=name) for name in names]
    scripted_server.snapshot = snapshots.snapshot(
        alerts=[*alerts, figured_alert("worst", severity="critical")]
    )
    page = await shown_by_hand(scripted_server, opened)
    notice = page.locator(".notice")
    await expect(notice).to_have_text(
        text(
            "Critical Satisfied · Billing: off target Since 10:55 72% (66 to 77%) · Last 15 minutes · "
            "Target at least 80% · was 68% at 10:56 1 of 5 · And 2 more."
        )
    )
    for name in [*names[:4], "Billing"]:
        await page.clock.run_for(7_200)
        await expect(notice.locator(".what")).to_have_text(f"Satisfied · {name}: off target")
    mark = page.locator('[data-metric="csat_ratio"] .alert-mark')
    await expect(mark).to_have_text(text("Critical Billing +6"))
    await expect(page.locator(".alert-mark")).to_have_count(1)
    await expect(page.locator('[data-metric="csat_ratio"] .spark')).to_be_visible()
    await page.get_by_role("button", name="Stop turning pages").click()
    await page.clock.run_for(30_000)
    await expect(notice.locator(".what")).to_have_text("Satisfied · Billing: off target")


MILLIMETRES = """(words) => words.map((word) => {
    const look = getComputedStyle(word);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${look.fontWeight} ${look.fontSize} ${look.fontFamily}`;
    const wide = 952 / Math.max(innerWidth, innerHeight);
    return pen.measureText("O").actualBoundingBoxAscent * wide;
})"""
"""The height of a capital letter on a set of 43 inches, which is 952 mm wide."""


NAMED_AT_ONCE = """() => {
    window.named = [];
    const told = () => window.named.push([document.querySelector("h1").textContent, document.title]);
    new MutationObserver(told).observe(document.querySelector("h1"), { characterData: true, subtree: true });
}"""
"""Notes heading and title whenever the heading changes, before anything else runs."""


async def test_pages_turn_and_say_whose_they_are(scripted_server: ScriptedServer, opened: Opened) -> None:
    names = ["Billing", "Support", "Sales"]
    pages = [snapshots.page(name, name.lower()) for name in names]
    scripted_server.snapshot = snapshots.snapshot(rotate_s=20, title="Customer care", pages=pages)

    page = await shown_by_hand(scripted_server, opened)
    await page.evaluate(f"({NAMED_AT_ONCE})()")
    for name in [*names, names[0]]:
        await expect(page.locator("h1")).to_have_text(name)
        await expect(page.locator(".window")).to_have_text("Customer care · Last hour")
        await expect(page).to_have_title(name)
        scripted_server.send_event("heartbeat", snapshots.heartbeat())
        await page.clock.run_for(20_100)  # and a moment to begin with, after the turn
    assert await page.evaluate("window.named") == [[name, name] for name in [*names[1:], names[0], names[1]]]


async def test_it_is_walked_through_by_keyboard(scripted_server: ScriptedServer, opened: Opened) -> None:
    pages = [snapshots.page(name, name.lower()) for name in ("Billing", "Support", "Sales")]
    scripted_server.snapshot = snapshots.snapshot(rotate_s=600, pages=pages)
    page = await shown(scripted_server, opened)
    title = page.locator("h1")
    walked = []
    for _ in range(3):
        await page.keyboard.press("Tab")
        walked.append(await page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert walked == ["Previous page", "Next page", "Stop turning pages"]
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Turn pages", exact=True)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(title).to_have_text("Support")
    await page.keyboard.press("ArrowRight")
    await expect(title).to_have_text("Sales")
    await page.keyboard.press("ArrowLeft")
    await expect(title).to_have_text("Support")
    await expect(page.get_by_role("img", name="Support, page 2 of 3")).to_be_visible()


async def test_stopped_pages_stay(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot(
        rotate_s=20, pages=[snapshots.page("A", "a"), snapshots.page("B", "b")]
    )

    page = await shown_by_hand(scripted_server, opened)
    await page.get_by_role("button", name="Stop turning pages").click()
    await page.clock.run_for(100_000)
    await expect(page.locator("h1")).to_have_text("A")


@pytest.mark.parametrize(("wish", "still"), [("reduce", True), ("no-preference", False)])
async def test_nothing_moves_where_that_is_unwelcome(
    wish: str, still: bool, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await shown(scripted_server, opened, reduced_motion=wish)
    durations = await page.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((element) => {
            const look = getComputedStyle(element);
            return [look.transitionDuration, look.animationDuration].filter((one) => one !== "0s");
        })"""
    )
    assert (durations == []) is still


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "There is no view called “nowhere”."),
        (403, "You are not allowed to see this. Log in, or ask for a display's address."),
    ],
)
async def test_a_refused_view_says_why(
    status: int, said: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.status = status
    page = await opened(f"{scripted_server.url}/?view=nowhere")
    await expect(page.get_by_role("alert")).to_have_text(said)
    assert await violations(page) == []


@pytest.mark.parametrize(("query", "asked_for"), [("?view=billing", {"view": "billing"}), ("", {})])
async def test_the_view_of_the_address_is_asked_for_once_and_nothing_is_polled(
    query: str, asked_for: dict[str, str], scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    asked: list[str] = []

    async def listening(page: Page) -> None:
        page.on("request", lambda request: asked.append(request.url))

    page = await shown_by_hand(scripted_server, opened, query, before=listening)
    loaded = len(asked)
    for minute in range(20):
        scripted_server.send_event("heartbeat", snapshots.heartbeat(data_age_s=minute % 9))
        await expect(page.locator(".fresh span")).to_have_text(f"{minute % 9} s old")
        await page.clock.run_for(15_000)
    assert scripted_server.queries == [asked_for]
    assert asked[loaded:] == []


VIEWS = [
    {
        "name": "floor", "title": "", "by": "all", "groups": [], "tiles": ["nps_score", "queue_table"],
        "window": "1h", "displays": [],
    },
    {
        "name": "teams", "title": "Teams", "by": "team", "groups": ["North", "South"], "window": "15m",
        "tiles": ["service_level_ratio", "9 of 10 wait less than"], "displays": ["lobby"],
    },
]  # fmt: skip


@pytest.mark.parametrize(("size", "theme"), [(TELEVISIONS[0], "dark"), (PHONE, "light")])
async def test_an_index_of_views_makes_the_links_that_displays_open(
    size: dict[str, int], theme: str, scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.answers["views"] = VIEWS
    page = await opened(f"{scripted_server.url}/views?theme={theme}", viewport=size)
    floor, teams = (page.get_by_role("textbox", name=f"display: {name}") for name in ("floor", "Teams"))
    await expect(floor).to_have_value(f"{scripted_server.url}/?view=floor")
    await expect(page.locator("li").first).to_contain_text("whole center · Last hour")
    await expect(page.locator("li").last).to_contain_text("North, South · Last 15 minutes")
    await expect(page.locator("li").last).to_contain_text("Service level, 9 of 10 wait less than")
    await page.get_by_label("Language").select_option("es")
    await expect(teams).to_have_value(f"{scripted_server.url}/?view=teams&lang=es")
    await page.get_by_label("Token").fill("a+b")
    await expect(teams).to_have_value(f"{scripted_server.url}/?lang=es&display=a%2Bb")
    assert await violations(page) == []
    assert await overflowing(page) == []


async def test_a_tile_says_a_window_a_stat_and_a_name_of_its_own(
    scripted_server: ScriptedServer, opened: Opened
) -> None:
    tiles = snapshots.tiles()
    waits = {"unit": "seconds", "better": "lower", "lower": 31, "upper": 44, "support": 90, "target": 30}
    own = [
        snapshots.tile("wait_time_seconds", 37, "missed", stat="p90", window="15m", label="", **waits),
        snapshots.tile("wait_time_seconds", 37, "missed", stat="p95", label="9 of 10 wait less", **waits),
    ]
    scripted_server.snapshot = snapshots.snapshot(pages=[snapshots.page(shown=[*tiles[:3], *own])])
    page = await shown(scripted_server, opened)
    names = await page.locator(".tile .name").all_inner_texts()
    assert names == [
        "NPS",
        "Satisfied",
        "Service level",
        "Wait 90 % are below Last 15 minutes",
        "9 of 10 wait less",
    ]
    assert await overflowing(page) == []
    boxes = [await tile.bounding_box() for tile in await page.locator(".tile").all()]
    area = sum(box["width"] * box["height"] for box in boxes if box)
    assert area > 0.8 * 1920 * 1080, "five tiles fill the screen"
