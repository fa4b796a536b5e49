"""Contacts and answers behind a number, and who may see them."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from streamer.events.counting_rules import HOUR, MINUTE
from streamer.readings.drill_down import ContactDetails
from tests.readings.test_drill_down import NOW as THEN
from tests.readings.test_drill_down import call, count_events, survey_response
from tests.web.test_api import SettableClock, api_client


async def get_response(path: str) -> httpx.Response:
    told = [
        call("k1"), survey_response("k1", 9, 3 * MINUTE), call("k2", queue="tech"),
        survey_response("k2", 1, 2 * MINUTE, comment="no"),
        call("k3"), survey_response("k3", 4, 1 * MINUTE),
    ]  # fmt: skip
    clock = SettableClock()
    clock.now = THEN
    async with api_client(SimpleNamespace(store=await count_events(told)), clock) as client:
        return await client.get(path)


async def test_the_contacts_behind_a_number_are_a_list_with_every_field() -> None:
    found = (await get_response("/api/v1/contacts?metric=nps_score&window=4h")).json()
    assert [one["contact_id"] for one in found] == ["k3", "k2", "k1"]
    assert list(found[0]) == [*ContactDetails.__struct_fields__]
    assert found[1]["comment"] == "no"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("metric=nps_score&window=4h&order=worst", ["k3", "k2", "k1"]),
        ("metric=nps_score&window=4h&order=worst&limit=1", ["k3"]),
        ("metric=nps_score&window=4h&by=queue&key=tech", ["k2"]),
        ("metric=detractors&window=4h", ["k3", "k2"]),
        ("metric=handle_time_seconds&stat=p90&window=4h&by=queue&key=billing&limit=200", ["k3", "k1"]),
        (f"metric=contacts&window=5m&at={(THEN - HOUR) // 1000 + 60}", ["k3", "k2", "k1"]),
    ],
)
async def test_order_limit_group_and_moment(query: str, wanted: list[str]) -> None:
    found: list[dict[str, Any]] = (await get_response(f"/api/v1/contacts?{query}")).json()
    assert sorted(one["contact_id"] for one in found) == sorted(wanted)
    if "order" in query:
        assert [one["contact_id"] for one in found] == wanted


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("window=4h", "contacts: expected one metric"),
        ("metric=nps_score&order=best", "order = 'best': expected one of newest, worst"),
        ("metric=nps_score&limit=0", "limit = '0': expected a number from 1 to 1000"),
        ("metric=nps_score&limit=1001", "limit = '1001': expected a number from 1 to 1000"),
        ("metric=nps_score&by=queue", "key: expected one key of queue"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_was_expected(query: str, sentence: str) -> None:
    answered = await get_response(f"/api/v1/contacts?{query}")
    assert (answered.status_code, sentence in answered.json()["detail"]) == (400, True)


async def test_the_distribution_of_each_group() -> None:
    found = (await get_response("/api/v1/distribution?question=nps&window=4h&by=queue")).json()
    assert [(one["key"], one["answers"]) for one in found] == [("billing", 2), ("tech", 1)]
    assert {one["score"]: one["count"] for one in found[0]["scores"] if one["count"]} == {9: 1, 4: 1}
