"""Tiles of what is going on now: what they say, when the default view has them, and when they change."""

from collections.abc import Iterable
from typing import Any

import pytest

from streamer.events.counting_rules import MINUTE
from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, SettingsError, ViewSettings
from streamer.settings.wallboard import DEFAULT_TILES
from streamer.web.live_tiles import AgentStatesTile, LiveTile, QueueTableTile
from streamer.web.view_checks import check_views
from streamer.web.wallboard import WallboardPage, changed_tiles
from streamer.web.wallboard_view import WallboardView
from tests.readings.live_center import agent, contact, live_deltas
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane

SETTINGS = Settings(names={"queue": {"billing": "Billing & payments"}, "reason": {"l": "lunch"}})
FLOOR = ViewSettings(tiles=["waiting", "longest_wait_seconds", "agents_available"])
OPENING = ["waiting", "longest_wait_seconds", "agents_available"]


async def pages(
    contacts: Iterable[LiveContact] = (),
    agents: Iterable[LiveAgent] = (),
    view: ViewSettings = FLOOR,
    settings: Settings = SETTINGS,
    at: int = NOW,
    gone: Iterable[LiveContact] = (),
) -> list[WallboardPage]:
    """Read the pages of a view; an hour ago one contact was answered in `sales`."""
    center = SmallCenter()
    await center.add(
        {(pane(30 * MINUTE), cell("sales")): answered()}, more=live_deltas(contacts, agents, gone)
    )
    await center.beat(NOW)
    reader = MetricsReader(center.store, settings)
    await reader.refresh(NOW)
    return WallboardView(reader, settings, view, as_viewer=False).read_pages(at)


async def tiles(*given: Any, **more: Any) -> dict[str, Any]:
    (page,) = await pages(*given, **more)
    return {tile.metric: tile for tile in page.tiles}


async def test_figures_of_now_say_since_when_somebody_waits_and_when_that_is_too_long() -> None:
    contacts = [contact(age_s=12), contact(age_s=3), contact(age_s=7, queue="vip"), contact("connected", 90)]
    settings = Settings.model_validate(
        SETTINGS.model_dump(exclude_unset=True) | {"queues": {"vip": {"service_level": "8s"}}}
    )
    shown = await tiles(contacts, [agent("ann"), agent("bob", "busy")], settings=settings)
    waiting, longest, available = (shown[name] for name in OPENING)
    assert (waiting.value, waiting.note) == (3, None)
    assert (longest.since, longest.note.text) == (NOW - 12_000, "Billing & payments")
    assert (available.value, available.state, available.note.count) == (1, "no_target", 2)
    vip_near, billing_near = NOW - 7_000 + 6_000, NOW - 12_000 + 15_000
    assert (waiting.near_at, longest.near_at) == (min(vip_near, billing_near),) * 2
    assert longest.late_at == NOW - 7_000 + 8_001, "a wait of T is within it"


async def test_the_queue_that_somebody_waits_too_long_in_need_not_be_the_one_of_the_longest_wait() -> None:
    settings = Settings.model_validate({"queues": {"mail": {"service_level": "1h"}}})
    contacts = [contact(age_s=600, queue="mail"), contact(age_s=30)]
    shown = await tiles(contacts, settings=settings)
    assert shown["longest_wait_seconds"].late_at == NOW - 30_000 + 20_001
    assert shown["waiting"].note.count == 1


@pytest.mark.parametrize(
    ("sentence", "contacts", "agents", "state", "kind"),
    [
        ("nobody waits", [], [agent("ann")], "no_target", "nobody"),
        ("lost contacts and outbound ones do not wait", [contact(age_s=20_000)], [], "no_target", "nobody"),
    ],
)
async def test_a_wait_of_nobody_is_0_and_says_so(
    sentence: str, contacts: list[LiveContact], agents: list[LiveAgent], state: str, kind: str
) -> None:
    shown = await tiles([*contacts, contact(direction="outbound")], agents)
    longest = shown["longest_wait_seconds"]
    assert (longest.value, longest.state, longest.note.kind) == (0, state, kind), sentence
    assert (longest.since, longest.near_at, longest.late_at) == (None, None, None)


async def test_while_contacts_wait_and_nobody_is_available_it_says_so() -> None:
    shown = await tiles([contact()], [agent("ann", "busy")])
    assert shown["agents_available"].state == "unserved"
    shown = await tiles([contact("connected")], [agent("ann", "busy")])
    assert shown["agents_available"].state == "no_target"


async def test_without_states_there_is_no_value_and_a_word_why() -> None:
    shown = await tiles()
    for name in OPENING:
        assert (shown[name].value, shown[name].state, shown[name].note.kind) == (None, "no_data", "no_states")


@pytest.mark.parametrize(
    ("contacts", "agents", "opening"),
    [([], [], []), ([contact()], [], OPENING[:2]), ([contact()], [agent("ann")], OPENING)],
)
async def test_a_view_without_tiles_of_its_own_opens_with_those_whose_states_were_ever_sent(
    contacts: list[LiveContact], agents: list[LiveAgent], opening: list[str]
) -> None:
    (page,) = await pages(contacts, agents, ViewSettings())
    assert [tile.metric for tile in page.tiles] == [*opening, *DEFAULT_TILES]
    (page,) = await pages(contacts, agents, ViewSettings(tiles=["answered"]))
    assert [tile.metric for tile in page.tiles] == ["answered"]


async def test_they_stay_while_the_data_is_old() -> None:
    (page,) = await pages([contact()], [agent("ann")], ViewSettings(), at=NOW + 10 * MINUTE)
    assert [tile.metric for tile in page.tiles][:3] == OPENING


async def test_a_wait_that_only_grows_is_no_change() -> None:
    before, after = [await pages([contact(age_s=3)], at=NOW + more) for more in (0, 1_000)]
    assert isinstance(before[0].tiles[1], LiveTile)
    assert before[0].tiles[1].value != after[0].tiles[1].value  # type: ignore[attr-defined]
    assert changed_tiles(before, after) == []
    longer = await pages([contact(age_s=3), contact(age_s=4)])
    assert [tile.metric for tile in changed_tiles(before, longer)] == OPENING[:2]


# Tables.


async def queue_table(*given: Any, queues: list[str] | None = None, **more: Any) -> QueueTableTile:
    view = ViewSettings(tiles=["queue_table"], queues=queues or [])
    ((shown,), *_) = [page.tiles for page in await pages(*given, view=view, **more)]
    assert isinstance(shown, QueueTableTile)
    return shown


async def test_the_table_has_each_queue_with_what_waits_and_who_is_free() -> None:
    contacts = [contact(age_s=12), contact(age_s=3)]
    bob = agent("bob", "busy", queues=("sales",))
    table = await queue_table(contacts, [agent("ann"), bob], gone=[contact(queue="sales")])
    rows = {row.key: row for row in table.rows}
    assert [row.name for row in table.rows] == ["Billing & payments", "sales"]
    billing, sales = rows["billing"], rows["sales"]
    assert (billing.waiting, billing.since, billing.available) == (2, NOW - 12_000, 1)
    assert (sales.waiting, sales.since, sales.available, sales.abandoned) == (0, None, 0, 0)
    assert (sales.service_level.value, sales.service_level.state) == (None, "no_data")


async def test_without_states_the_table_still_has_what_is_completed() -> None:
    (row,) = (await queue_table()).rows
    assert (row.key, row.waiting, row.available, row.abandoned) == ("sales", None, None, 0)


async def test_of_many_queues_those_come_first_in_which_somebody_waits_longest() -> None:
    contacts = [contact(age_s=age, queue=f"q{age:02}") for age in range(1, 13)]
    table = await queue_table(contacts)
    assert [row.key for row in table.rows] == [f"q{age:02}" for age in range(12, 3, -1)]
    assert table.more == 4  # q01 to q03, and sales
    assert {row.waiting for row in (await queue_table(contacts, queues=["sales"])).rows} == {None}
    table = await queue_table(contacts, queues=["q01", "sales"])
    assert ([row.key for row in table.rows], table.more) == (["q01", "sales"], 0)


async def test_agents_are_shown_by_state_and_by_the_reason_they_are_away_for() -> None:
    away = [agent(f"a{n}", "away", reason="l" if n else None) for n in range(3)]
    agents = [agent("ann"), agent("bob", "held"), agent("cat", "offered"), agent("dan", "wrap_up"), *away]
    shown = (await tiles([], agents, view=ViewSettings(tiles=["agent_states"])))["agent_states"]
    assert isinstance(shown, AgentStatesTile)
    assert shown.counts == {"available": 1, "busy": 2, "wrap_up": 1, "away": 3, "unknown": 0}
    assert (shown.signed_in, shown.reasons) == (7, [("lunch", 2), ("unknown", 1)])
    nothing = (await tiles(view=ViewSettings(tiles=["agent_states"])))["agent_states"]
    assert (nothing.signed_in, set(nothing.counts.values()), nothing.reasons) == (None, {None}, [])


# Settings.


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([*OPENING, *DEFAULT_TILES], None),
        (["waiting", "queue_table", "agent_states"], None),
        (["queue_table", *DEFAULT_TILES[:3]], "7 places are taken (queue_table takes 4, agent_states 2)"),
        ([*DEFAULT_TILES, "answered"], "7 places are taken"),
        (["answered", *OPENING, "agents_busy", "agents_away"], "5 metrics of now, expected at most 4"),
    ],
)
def test_a_view_has_room_for_its_tiles_or_says_what_is_too_much(
    names: list[str], complaint: str | None
) -> None:
    settings = Settings(views={"floor": ViewSettings(tiles=names)})
    if complaint is None:
        check_views(settings)
        return
    with pytest.raises(SettingsError) as raised:
        check_views(settings)
    assert complaint in str(raised.value)
