"""Values as the pages write them: each unit, at its boundaries, in each language."""

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser import snapshots
from tests.browser.conftest import Opened
from tests.browser.scripted_server import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WRITTEN = "async ([value, unit]) => (await import('/static/numbers.js')).written(value, unit, 'EUR')"


async def said(page: Page, value: float | None, unit: str) -> Any:
    return (await page.evaluate(WRITTEN, [value, unit])).replace("\u00a0", " ")


UNITS = [
        ("points", {74.4: "74", 74.5: "75", -0.4: "0", -100.0: "−100", None: "–"}),
        ("ratio", {0.0: "0.0%", 0.0994: "9.9%", 0.0995: "10%", 0.8: "80%", 1.0: "100%", None: "–"}),
        ("score", {4.0: "4.00", 4.256: "4.26"}),
        (
            "seconds",
            {
                0.0: "0.0 s", 9.94: "9.9 s", 9.95: "10 s", 59.4: "59 s", 59.5: "1:00 min", 401.7: "6:42 min",
                5999.4: "99:59 min", 5999.5: "1.7 h", None: "–",
            },
        ),
        ("count", {0.0: "0", 9999.0: "9,999", 10_000.0: "10 k", 1_234_567.0: "1.23 m"}),
        ("erlangs", {7.25: "7.3 erl", 99.4: "99.4 erl", 99.5: "100 erl"}),
        ("currency", {0.0: "€0", 9_999.0: "€9,999", 12_345.0: "€12.3 k", -20_000.0: "€−20 k"}),
    ]  # fmt: skip


async def test_values(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(scripted_server.url)
    for unit, expected in UNITS:
        assert {value: await said(page, value, unit) for value in expected} == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("es", ["80 %", "9,9 %", "6:42 min", "12,3 mil", "1234", "12,3 mil €"]),
        ("zh", ["80%", "9.9%", "6:42 分", "1.23 万", "1,234", "€1.23 万"]),
    ],
)
async def test_values_in_other_languages(
    language: str, expected: list[str], scripted_server: ScriptedServer, opened: Opened
) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(f"{scripted_server.url}/?lang={language}")
    asked = [(0.8, "ratio"), (0.0994, "ratio"), (401.7, "seconds"), (12_345, "count"), (1234, "count")]
    found = [await said(page, value, unit) for value, unit in [*asked, (12_345, "currency")]]
    assert found == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Spanish", "Brazilian Portuguese", "klingonese", "E-mail", "fax", "es"]),
        ("es", ["Español", "Portugués de Brasil", "klingonese", "Correo", "fax", "es"]),
        ("zh", ["西班牙语", "巴西葡萄牙语", "klingonese", "邮件", "fax", "es"]),
    ],
)
async def test_languages_and_channels_have_names(
    language: str, expected: list[str], scripted_server: ScriptedServer, opened: Opened
) -> None:
    """What has no name stays itself, and so does a queue."""
    asked = [["language", "es"], ["language", "pt-BR"], ["language", "klingonese"]]
    asked += [["channel", "email"], ["channel", "fax"], ["queue", "es"]]
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(f"{scripted_server.url}/?lang={language}")
    names = "async (all) => { const { valueName } = await import('/static/language.js');"
    assert await page.evaluate(f"{names} return all.map((one) => valueName(...one)); }}", asked) == expected


async def test_ages_grow_coarser(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(scripted_server.url)
    ages = "async (ages) => ages.map((await import('/static/numbers.js')).ageWords)"
    assert await page.evaluate(ages, [0, 0.9, 119.9, 120, 7199, 7200]) == [
        "0 s old", "0 s old", "119 s old", "2 min old", "119 min old", "2 h old",
    ]  # fmt: skip
