"""The supervisor page takes a group's key apart as the server put it together."""

import pytest

from streamer.panes.pane_keys import format_key
from tests.browser import snapshots
from tests.browser.conftest import Opened
from tests.browser.scripted_server import ScriptedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PARTS = """async (keys) => {
  const { parts } = await import('/static/supervisor/judgement.js');
  return keys.map((key) => parts('queue,team', key));
}"""
GROUPS = [
    ["q", "a,red"], ["q,a", "red"], ["\\", "red"], ["q\\", ",red"], [",", "\\,"], ["q", "\u4e1c,\\"],
]  # fmt: skip


async def test_the_page_reads_each_value_of_a_pair(scripted_server: ScriptedServer, opened: Opened) -> None:
    scripted_server.snapshot = snapshots.snapshot()
    page = await opened(scripted_server.url)
    assert await page.evaluate(PARTS, [format_key(values) for values in GROUPS]) == GROUPS
