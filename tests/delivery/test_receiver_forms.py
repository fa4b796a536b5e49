"""Teams, PagerDuty and mail are told what chats are told, and no name from events has an effect in it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from streamer.alerts.alert_message import Contributor
from streamer.delivery.alert_mail import alert_subject, alert_text
from streamer.delivery.configured_receivers import build_receivers
from streamer.delivery.endpoint_checks import check_receivers
from streamer.delivery.http_client import HttpClient
from streamer.delivery.pagerduty import pagerduty_format
from streamer.delivery.receiver import DeliverySucceeded
from streamer.delivery.teams import MAX_ALERTS, teams_format, teams_payload
from streamer.settings import SettingsError, load_settings
from tests.delivery.alert_samples import NOW
from tests.delivery.test_slack import WHOLE
from tests.delivery.test_smtp import AUTHORITY, MailServer, read

FIRING = replace(
    WHOLE,
    interval=None,
    contributors=(Contributor(dimension="team", key="t", name="Red", moved=-20.5, value=-40.0, support=22),),
)
RESOLVED = replace(FIRING, what="resolved", id=f"{FIRING.id}/resolved")
LINES = [
    "NPS of Billing dropped from 31 to −12.",
    "since 10:50, now −12, usual 31, 60 observations",
    "• team Red: −20 points, of 22 observations",
]


def test_teams_gets_a_card() -> None:
    body = json.loads(teams_format("Europe/Paris").encode([FIRING, RESOLVED]))
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    firing, resolved = attachment["content"]["body"]
    assert [run["text"] for run in text_runs(firing)] == [
        "WARNING: NPS of Billing dropped", *LINES, "nps-drop · 11:00",
    ]  # fmt: skip
    assert (text_runs(firing)[0]["color"], text_runs(resolved)[0]["color"]) == ("warning", "good")
    assert text_runs(resolved)[0]["text"] == "RESOLVED: NPS of Billing dropped"
    assert [(action["title"], action["url"]) for action in firing["items"][-1]["actions"]] == [
        ("Why?", "https://wall.example.org/why"),
        ("Contacts", "https://wall.example.org/contacts"),
    ]


def test_a_card_is_within_the_28_kb_of_teams_and_its_names_are_plain_text() -> None:
    long = replace(FIRING, title="好" * 5_000, text="好" * 5_000, contributors=FIRING.contributors * 9)
    assert len(teams_format("UTC").encode([long] * MAX_ALERTS)) < 28_000
    named = replace(FIRING, title="[Billing](http://evil.example)", links={})
    (part,) = teams_payload([named], "UTC")["attachments"][0]["content"]["body"]
    assert {item["type"] for item in part["items"]} == {"RichTextBlock"}
    assert "evil.example" not in str(part)


def test_pagerduty_gets_an_incident_that_ends_with_the_alert() -> None:
    encode = pagerduty_format("R0", "madrid", "Europe/Paris").encode
    firing, resolved = json.loads(encode([FIRING])), json.loads(encode([RESOLVED]))
    assert resolved == {
        "routing_key": "R0", "dedup_key": firing["dedup_key"], "event_action": "resolve",
    }  # fmt: skip
    other = json.loads(encode([replace(FIRING, episode="other")]))
    assert other["dedup_key"] != firing["dedup_key"]
    assert firing["event_action"] == "trigger"
    assert firing["links"][0] == {"href": "https://wall.example.org/why", "text": "Why?"}
    assert firing["payload"] == {
        "summary": "NPS of Billing dropped",
        "source": "madrid",
        "severity": "warning",
        "timestamp": "2026-11-21T10:00:03.000+00:00",
        "component": "nps_score",
        "group": "Billing",
        "class": "nps-drop",
        "custom_details": {"text": "\n".join(LINES)},
    }


def test_a_mail_says_in_its_subject_what_happened() -> None:
    assert alert_subject([FIRING]) == "WARNING: NPS of Billing dropped"
    assert alert_subject([RESOLVED, FIRING]) == "RESOLVED: NPS of Billing dropped (and 1 more)"
    assert len(alert_subject([replace(FIRING, title="a\nb" * 500)] * 2)) == 150
    assert alert_text([FIRING], "Europe/Paris").splitlines() == [
        "WARNING: NPS of Billing dropped", *LINES, "nps-drop · 11:00",
        "Why? https://wall.example.org/why", "Contacts https://wall.example.org/contacts",
    ]  # fmt: skip
    assert "evil.example" not in alert_text([replace(FIRING, title="evil.example")], "UTC")


async def test_a_receiver_with_addresses_gets_its_alerts_by_mail(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.cert_pem.bytes())
    server = MailServer("none", tmp_path / "ca.pem")
    server.controller.start()
    try:
        settings = load_settings(
            receivers={"managers": {"mail": ["ann@example.com", "bob@example.com"]}}, mail=server.settings
        )
        http = HttpClient()
        receiver = build_receivers(settings, http, lambda: NOW)["managers"]
        assert isinstance(await receiver.send([FIRING]), DeliverySucceeded)
        await http.close()
    finally:
        server.controller.stop()
    ((envelope, _),) = server.handler.envelopes
    assert envelope.rcpt_tos == ["ann@example.com", "bob@example.com"]
    assert read(envelope)["subject"] == "WARNING: NPS of Billing dropped"


def test_pagerduty_needs_no_address_of_its_own() -> None:
    settings = load_settings(receivers={"call": {"form": "pagerduty", "routing_key": "R0"}})
    assert settings.receivers["call"].url == SecretStr("https://events.pagerduty.com/v2/enqueue")


@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        ({}, "either a url or mail addresses"),
        ({"url": "https://x", "mail": ["ann@example.com"]}, "either a url or mail addresses"),
        ({"form": "pagerduty"}, 'a routing_key with form = "pagerduty", and with no other'),
        ({"url": "https://x", "routing_key": "R0"}, 'a routing_key with form = "pagerduty"'),
        ({"mail": ["ann"]}, "an address such as floor@example.com"),
        ({"mail": ["ann@example.com"]}, "a mail.host to send it by"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused(receiver: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(expected)):
        check_receivers(load_settings(receivers={"desk": receiver}))


def text_runs(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the texts of an alert's part of a card."""
    return [item["inlines"][0] for item in part["items"] if item["type"] == "RichTextBlock"]
