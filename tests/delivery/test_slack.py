"""A chat message is short and complete, and no name from events has an effect in it."""

import json
from html import unescape

import pytest
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.verdict import VerdictFigures
from streamer.delivery.alertmanager_client import alert_annotations
from streamer.delivery.slack import MAX_ALERTS, MAX_TEXT_CHARS, escape_text, slack_format, slack_payload
from tests.delivery.alert_samples import NOW, alert, message

WHOLE = replace(
    message(alert()),
    title="NPS of Billing dropped",
    text="NPS of Billing dropped from 31 to −12.",
    since=NOW - 600_000,
    figures=VerdictFigures(value=-12.0, support=60, usual=31.0),
    interval=(-28.5, 4.5),
    contributors=tuple(
        Contributor(dimension="team", key=f"t{n}", name=f"Team {n}", moved=-20.5 + n, value=-40.0, support=22)
        for n in range(4)
    ),
    links={"explain": "https://wall.example.org/why", "contacts": "https://wall.example.org/contacts"},
)


def test_a_chat_is_told_this() -> None:
    assert json.loads(slack_format("Europe/Paris").encode([WHOLE])) == {
        "text": "WARNING: NPS of Billing dropped",
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [
            {
                "fallback": "WARNING: NPS of Billing dropped",
                "color": "#f79009",
                "title": "WARNING: NPS of Billing dropped",
                "title_link": "https://wall.example.org/why",
                "text": "NPS of Billing dropped from 31 to −12.\n"
                "since 10:50, now −12, usual 31, interval −28 … 4, 60 observations\n"
                "• team Team 0: −20 points, of 22 observations\n"
                "• team Team 1: −20 points, of 22 observations\n"
                "• team Team 2: −18 points, of 22 observations\n"
                "Contacts: https://wall.example.org/contacts",
                "mrkdwn_in": [],
                "footer": "nps-drop · 11:00",
            }
        ],
    }


def test_what_is_over_is_said_to_be_and_is_green() -> None:
    found = slack_payload([message(alert(phase="resolved"))], "UTC")
    assert found["text"] == "RESOLVED: NPS of Billing dropped"
    assert found["attachments"][0]["color"] == "#12b76a"


@pytest.mark.parametrize(
    "name",
    [
        "<!channel>", "<!here|x>", "<@U123>", "<#C123>", "<http://evil.example/|Billing>", "@channel",
        "@here", "@all", "a @someone", "[x](http://evil.example)", "![x](http://evil.example/p.png)",
        "http://evil.example", "evil.example", "www.evil.example/x?y", "a.b.evil.example:8080",
        "ann@evil.example", "evil。example", "mailto:x@evil.example", "*bold*", "_it_", "~gone~",
        "`code`", ":smile:", "&lt;!channel&gt;",
    ],
)  # fmt: skip
def test_names_that_events_bring_are_shown_and_do_nothing(name: str) -> None:
    bad = Contributor(dimension="team", key="x", name=name, moved=1, value=1, support=1)
    told = replace(WHOLE, title=name, text=name, contributors=(bad,), rule=name)
    found = slack_payload([told], "UTC")
    (one,) = found["attachments"]
    for text in (found["text"], *(one[part] for part in ("fallback", "title", "text", "footer"))):
        assert name not in text
        plain = text.replace("https://wall.example.org/contacts", "")
        for sign in (
            "<",
            ">",
            "@c",
            "@h",
            "@a",
            "@s",
            "](",
            "//evil",
            "*b",
            "_i",
            "~g",
            "`c",
            ":smile:",
            ".e",
            "。e",
        ):
            assert sign not in plain
    assert unescape(escape_text(name)).replace("\u200b", "") == name


@pytest.mark.parametrize("name", ["<!channel>", "<http://evil.example|Billing>", "evil.example", "<@U123>"])
def test_what_alertmanager_hands_on_to_a_chat_does_nothing_either(name: str) -> None:
    bad = Contributor(dimension="team", key="x", name=name, moved=1, value=1, support=1)
    texts = alert_annotations(replace(WHOLE, title=name, text=name, contributors=(bad,), links={}))
    assert set(texts) == {"summary", "description", "contributors"}
    for text in texts.values():
        assert name not in text
        assert name in text.replace("\u200b", "")
        assert not any(sign in text for sign in ("<!", "<h", "<@", "//evil", ".e"))


def test_where_no_part_stands_out_it_is_said() -> None:
    large = [replace(one, apart=False) for one in WHOLE.contributors]
    some, none = (
        slack_payload([replace(WHOLE, contributors=tuple(parts))], "UTC")
        for parts in ([*large[:1], *WHOLE.contributors[1:]], large)
    )
    assert "No part stands out; the largest are:\n• team Team 0" in none["attachments"][0]["text"]
    assert "stands out" not in some["attachments"][0]["text"]


def test_every_text_is_within_slacks_limits_however_long_its_parts_are() -> None:
    long = replace(WHOLE, title="<" * 5000, text="<" * 5000)
    found = slack_payload([long] * MAX_ALERTS, "UTC")
    texts = [
        found["text"],
        *(one[part] for one in found["attachments"] for part in ("title", "text", "fallback")),
    ]
    assert max(map(len, texts)) <= MAX_TEXT_CHARS
    assert not any(text.endswith(("&…", "&l…", "&lt…")) for text in texts)


def test_of_a_message_without_addresses_none_is_made_up() -> None:
    plain: AlertMessage = replace(WHOLE, links={})
    (found,) = slack_payload([plain], "UTC")["attachments"]
    assert "title_link" not in found
    assert "http" not in found["text"]
