"""The address in a message opens the contacts behind its figure, whatever a queue is called."""

from collections.abc import AsyncIterator
from itertools import chain

import pytest
import pytest_asyncio
from playwright.async_api import expect

from streamer.alerts.messages import links
from streamer.events.counting_rules import MINUTE
from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.pane_keys import format_key
from tests.browser.conftest import Opened
from tests.browser.supervised_center import SupervisedCenter, answered_contact, last_hour

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ODD = 'Rück & "Fragen", a+b=100 %?#'


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def small_center() -> AsyncIterator[SupervisedCenter]:
    small_center = SupervisedCenter()
    odd = (answered_contact(f"o{place}", ODD, "ann", (3 + place) * MINUTE, nps=0) for place in range(25))
    await small_center.publish(chain(last_hour(), *odd))
    async with small_center:
        yield small_center


@pytest.mark.parametrize(
    ("by", "key", "name", "answers"),
    [
        ("queue", "billing", "Billing & payments", "30 answers"),
        ("queue", ODD, ODD, "25 answers"),
        ("queue,channel", format_key([ODD, "voice"]), f"{ODD} · Voice", "25 answers"),
        ("all", "", "All", "89 answers"),
    ],
)
async def test_a_message_leads_to_the_contacts_behind_it(
    small_center: SupervisedCenter, opened: Opened, by: str, key: str, name: str, answers: str
) -> None:
    base = small_center.url.removesuffix("/supervisor")
    page = await opened(links.contacts_url(base, CATALOGUE["nps_score"], by, key, "4h"))
    panel = page.locator("aside.panel")
    await expect(panel.get_by_role("heading", level=2)).to_have_text(f"NPS {name}")
    await expect(panel.locator(".statement")).to_contain_text(answers)
    worst = panel.locator(".contact").first
    await expect(worst).to_contain_text("detractor")
