"""Every event name on a source's page is read, or passed over without a dead letter: sources of surveys.

Sources of contacts have the same in their own tests, with payloads that hold what their events hold.
"""

import json
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import read_payload
from streamer.events.models import RejectedEvent
from tests.events.adapters import sample_payloads

WITHOUT_NAMES = {"amazon-connect-survey"}
NAME_FIELDS = {
    "formbricks": "event",
    "delighted": "event_type",
    "wootric": "event_name",
    "chatwoot": "event",
    "zendesk": "type",
    "help-scout": "(in a header)",
}
ROWS = [(name, event_name) for name in NAME_FIELDS for event_name in SOURCES[name].event_names]


def test_only_sources_that_name_no_events_have_no_list() -> None:
    assert {name for name, source in SOURCES.items() if not source.event_names} == WITHOUT_NAMES


@pytest.mark.parametrize(("name", "event_name"), ROWS)
def test_it_is_read_or_passed_over_without_a_letter(name: str, event_name: str) -> None:
    options, field = sample_payloads.sample_options(name), NAME_FIELDS[name]
    is_read = not SOURCES[name].event_names[event_name].startswith("not read")
    lines = [
        line for line in sample_payloads.sample_lines(name) if read_payload(SOURCES[name], line, options)
    ]
    samples: list[dict[str, Any]] = [json.loads(line) for line in lines]
    named = {} if event_name.startswith("(") else {field: event_name}
    if name == "chatwoot" and not is_read:
        named["content_type"] = "text"  # else it would be a survey's message
    renamed = [one | named for one in samples if field in one or name == "help-scout" or not named]
    found = [item for one in renamed for item in read_payload(SOURCES[name], json.dumps(one), options)]
    assert renamed
    assert not [item for item in found if isinstance(item, RejectedEvent)]
    assert bool(found) == is_read
