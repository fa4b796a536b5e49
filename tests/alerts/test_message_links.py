"""The addresses of a message say what the pages read from them, whatever people call their queues."""

from urllib.parse import parse_qs, urlsplit

import pytest

from streamer.alerts.messages.links import base_url, contacts_url, covering_window, explanation_url
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.windows import WINDOWS
from streamer.settings import DeliverySettings, Settings

PAGE = "https://wall.example/team"
KEYS = ["billing", "Rück & Fragen", 'a "b" + c', "q,r", "50 %", "a=b?c#d", "漢字", "a/b\\c", "<x>|{y}"]


@pytest.mark.parametrize("key", KEYS)
def test_the_page_reads_the_key_that_was_meant(key: str) -> None:
    for address, name in (
        (contacts_url(PAGE, CATALOGUE["nps_score"], "queue", key, "4h"), "key"),
        (explanation_url(PAGE, "nps-drop", key), "group"),
    ):
        asked = parse_qs(urlsplit(address).query, strict_parsing=True)
        assert asked[name] == [key]
        assert address.isascii()
        assert not set(address) & set(" \"'<>\\^`{|}")
        assert urlsplit(address).path == "/team/supervisor"
        assert urlsplit(address).fragment == ""


def test_the_whole_center_is_the_row_of_all() -> None:
    address = contacts_url(PAGE, CATALOGUE["nps_score"], "all", "", "today")
    assert parse_qs(urlsplit(address).query) == {
        "by": ["queue"],
        "key": ["\0all"],
        "window": ["today"],
        "metric": ["nps_score"],
        "order": ["worst"],
    }
    assert explanation_url(PAGE, "nps-drop", "") == f"{PAGE}/supervisor?alert=nps-drop&group="


def test_why_can_be_asked_of_a_moment() -> None:
    address = explanation_url(PAGE, "nps-drop", "b", "2026-11-21T10:00:03Z")
    assert address == f"{PAGE}/supervisor?alert=nps-drop&group=b&at=2026-11-21T10%3A00%3A03Z"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"host": "0.0.0.0", "port": 80}, "http://localhost:80"),
        ({"host": "::"}, "http://localhost:8080"),
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"host": "wall.example"}, "http://wall.example:8080"),
        ({"delivery": DeliverySettings(url="https://wall.example/team/")}, PAGE),
        ({"delivery": DeliverySettings(url=PAGE), "host": "::1"}, PAGE),
    ],
)
def test_pages_are_where_people_find_them(settings: dict[str, object], address: str) -> None:
    assert base_url(Settings().model_copy(update=settings)) == address


@pytest.mark.parametrize(
    ("span", "window"),
    [
        (0, "5m"),
        (5 * MINUTE, "5m"),
        (5 * MINUTE + 1, "15m"),
        (4 * HOUR, "4h"),
        (4 * HOUR + 1, "24h"),
        (DAY + 1, "7d"),
        (400 * DAY, "90d"),
    ],
)
def test_the_window_is_the_shortest_that_holds_all_of_it(span: int, window: str) -> None:
    assert covering_window(span) == window
    assert window in WINDOWS
