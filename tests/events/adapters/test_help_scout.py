"""Help Scout: its shapes, and what others got wrong with them."""

from typing import Any

import pytest

from streamer.events.models import SurveyResponse
from tests.events.adapters.survey_results import only_event_data, only_rejection, stated_facts

SOURCE = "help-scout"
OPTIONS: dict[str, Any] = {
    "questions": {"Was it solved?": "resolved_first", "Tell us": "comment", "Monthly NPS": "nps"},
    "values": {"👍": True, "👎": False},
}
CUSTOMER = {
    "customer": {"id": 500, "firstName": "Ann", "_embedded": {"emails": [{"value": "ann@example.org"}]}}
}


def response(survey: str, customer: Any = CUSTOMER, **response_fields: Any) -> dict[str, Any]:
    return {
        "message": {"name": survey},
        "response": {"timestamp": "2026-11-20T13:43:12Z", **response_fields},
        "_embedded": customer,
        "_links": {"message:dashboard": {"href": f"https://secure.helpscout.net/messages/{len(survey)}"}},
    }


# Help Scout's own example takes a nine for a passive.
NINE = response("Monthly NPS", value="9", category="passive", comment="Amazing!")
THUMB = response("Was it solved?", name="Thumbs Up", value="👍")
TEXT = response("Tell us", comment="It was quick.")
PAYLOADS: list[Any] = [NINE, NINE, THUMB, TEXT]


def test_a_response_is_an_answer_of_its_customer() -> None:
    found = dict(only_event_data(SOURCE, NINE))
    assert len(found.pop("response_id")) == 32
    assert found == {
        "answered_at": "2026-11-20T13:43:12Z",
        "comment": "Amazing!",
        "customer_id": "500",
        "answers": {"nps": 9},
    }


@pytest.mark.parametrize("category", ["promoter", "passive", "detractor", "PASSIVE", 3])
def test_its_category_is_not_read_only_that_there_is_one(category: Any) -> None:
    assert only_event_data(SOURCE, response("Any", value="9", category=category))["answers"] == {"nps": 9}


def test_what_a_survey_asks_is_found_by_its_name() -> None:
    assert only_event_data(SOURCE, THUMB, **OPTIONS)["answers"] == {"resolved_first": True}
    assert only_event_data(SOURCE, response("Was it solved?", value="👎"), **OPTIONS)["answers"] == {
        "resolved_first": False
    }
    assert only_event_data(SOURCE, response("Monthly NPS", value="0"), **OPTIONS)["answers"] == {"nps": 0}
    words = only_event_data(SOURCE, TEXT, **OPTIONS)
    assert (words["answers"], words["comment"]) == ({}, "It was quick.")


def test_a_survey_that_nothing_is_said_of_is_refused_and_the_reason_says_where_to_say_it() -> None:
    found = only_rejection(SOURCE, response("faces", value="😀"))
    assert found.reason == "missing"
    assert 'set questions = { "faces" = "nps" } in [sources.help-scout]' in found.error


def test_a_response_that_is_sent_twice_is_the_same() -> None:
    first, second, *_ = stated_facts(SOURCE, PAYLOADS, **OPTIONS)
    assert isinstance(first, SurveyResponse)
    assert first == second
    assert (
        len(
            {
                fact.identity
                for fact in stated_facts(SOURCE, PAYLOADS, **OPTIONS)
                if isinstance(fact, SurveyResponse)
            }
        )
        == 3
    )


def test_responses_of_others_of_other_surveys_and_times_are_others() -> None:
    later = NINE | {"response": NINE["response"] | {"timestamp": "2026-11-20T13:43:13Z"}}
    others = [
        NINE,
        later,
        response("Monthly NPS 2", value="9", category="x"),
        response("Any", {}, value="9", category="x"),
    ]
    others.append(NINE | {"_embedded": {"customer": {"id": 501}}})
    others += [
        response("Any", {}, value="8", category="x"),
        response("Any", {}, value="8", category="x", comment="!"),
    ]
    assert len({only_event_data(SOURCE, other)["response_id"] for other in others}) == len(others)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (response("Any", value="11", category="promoter"), "off-scale"),
        (response("Any", value="6.5", category="passive"), "off-scale"),
        (response("Any", value="great", category="promoter"), "wrong-type"),
        (response("Was it solved?", value="🤷"), "wrong-type"),
        (response("Any", value="9", category="promoter", timestamp="2026-11-20T13:43:12"), "no-time"),
        (response("Any", value="9", category="promoter", timestamp=None), "missing"),
        ({"rating": "great", "id": 3}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: Any, reason: str) -> None:
    assert only_rejection(SOURCE, payload, **OPTIONS).reason == reason


def test_nothing_of_the_person_shows_in_an_error() -> None:
    for payload in (response("Any", value="ann@example.org", category="x"), {"response": "ann@example.org"}):
        assert "ann" not in only_rejection(SOURCE, payload, **OPTIONS).error
