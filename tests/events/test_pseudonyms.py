"""Tests: pseudonyms hide the customer, and are the same for everybody."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode

import pytest

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import CustomerValuation, RejectedEvent, Segment, SurveyResponse, Tombstone
from streamer.privacy.pseudonyms import NO_PSEUDONYMS, Pseudonymizer, key_id_of

NOW = 1_760_000_000_000
KEYS = {"1": b"first key, of thirty-two bytes ..", "2": b"second key, of thirty-two bytes ."}
PSEUDONYMIZER = Pseudonymizer(KEYS, "1")


def test_a_pseudonym_is_the_key_and_96_bits_of_hmac_sha_256() -> None:
    digest = hmac.new(KEYS["1"], b"c-17", hashlib.sha256).digest()
    assert PSEUDONYMIZER.pseudonym_at("c-17", NOW) == f"~1~{urlsafe_b64encode(digest[:12]).decode()}"
    assert key_id_of(PSEUDONYMIZER.pseudonym_at("c-17", NOW)) == "1"


def test_the_same_customer_has_the_same_pseudonym_at_all_times_and_another_one_another() -> None:
    assert (
        PSEUDONYMIZER.pseudonym_at("c-17", 0)
        == PSEUDONYMIZER.pseudonym_at("c-17", NOW)
        != PSEUDONYMIZER.pseudonym_at("c-18", NOW)
    )


def test_a_pseudonym_goes_through_whatever_known_key_it_is_of() -> None:
    other = Pseudonymizer(KEYS, "2")
    assert other.pseudonym_at(PSEUDONYMIZER.pseudonym_at("c-17", NOW), NOW) == PSEUDONYMIZER.pseudonym_at(
        "c-17", NOW
    )
    assert other.pseudonym_at("c-17", NOW) != PSEUDONYMIZER.pseudonym_at("c-17", NOW)


@pytest.mark.parametrize("almost", ["~9~AAAAAAAAAAAAAAAA", "~1~AAAAAAAAAAAAAAA", "~1~AAAAAAAAAAAAAAAAA", "~"])
def test_what_only_looks_like_a_pseudonym_is_hidden_as_any_id(almost: str) -> None:
    assert PSEUDONYMIZER.pseudonym_at(almost, NOW) != almost
    assert PSEUDONYMIZER.is_pseudonym(PSEUDONYMIZER.pseudonym_at(almost, NOW))


def test_without_a_key_nothing_is_hidden() -> None:
    assert NO_PSEUDONYMS.pseudonym_at("c-17", NOW) == "c-17"


# Forgetting.


def forget(pseudonymizer: Pseudonymizer, customer: str, at: int) -> None:
    pseudonymizer.forgotten_at_ms = {
        **pseudonymizer.forgotten_at_ms,
        **{life[-1]: at for life in pseudonymizer.pseudonyms_by_key(customer)},
    }


def test_a_forgotten_customer_is_somebody_else_from_the_next_millisecond_on() -> None:
    veil = Pseudonymizer(KEYS, "1")
    before = veil.pseudonym_at("c-17", NOW)
    forget(veil, "c-17", NOW)
    assert veil.pseudonym_at("c-17", NOW) == before
    after = veil.pseudonym_at("c-17", NOW + 1)
    assert after != before
    assert veil.pseudonym_at("c-17", NOW + 10**10) == after
    assert veil.pseudonym_at("c-18", NOW + 1) == PSEUDONYMIZER.pseudonym_at("c-18", NOW)


def test_who_is_forgotten_twice_has_three_lives_and_all_are_found_again() -> None:
    veil = Pseudonymizer(KEYS, "1")
    forget(veil, "c-17", 1_000)
    forget(veil, "c-17", 2_000)
    lives = [veil.pseudonym_at("c-17", at) for at in (1_000, 1_001, 2_000, 2_001)]
    assert lives[1] == lives[2]
    assert len({*lives}) == 3
    assert veil.pseudonyms_by_key("c-17")[0] == [lives[0], lives[1], lives[3]]


def test_a_pseudonym_of_before_becomes_that_of_today_as_the_id_does() -> None:
    veil = Pseudonymizer(KEYS, "1")
    sent = veil.pseudonym_at("c-17", NOW)
    forget(veil, "c-17", NOW)
    assert veil.pseudonym_at(sent, NOW + 1) == veil.pseudonym_at("c-17", NOW + 1)


def test_who_is_forgotten_by_pseudonym_is_forgotten_by_id() -> None:
    veil = Pseudonymizer(KEYS, "1")
    forget(veil, PSEUDONYMIZER.pseudonym_at("c-17", NOW), NOW)
    assert veil.pseudonym_at("c-17", NOW + 1) != PSEUDONYMIZER.pseudonym_at("c-17", NOW)


def test_who_was_forgotten_under_the_former_key_stays_so_under_the_next() -> None:
    former = Pseudonymizer({"1": KEYS["1"]}, "1")
    forget(former, "c-17", NOW)
    rotated = Pseudonymizer(KEYS, "2")
    rotated.forgotten_at_ms = former.forgotten_at_ms
    assert rotated.pseudonym_at("c-17", NOW) == Pseudonymizer(KEYS, "2").pseudonym_at("c-17", NOW)
    assert rotated.pseudonym_at("c-17", NOW + 1) != rotated.pseudonym_at("c-17", NOW)


# What a record states.


def decoded(topic: str, data: dict[str, object]) -> object:
    value = json.dumps(data).encode()
    return decode(KafkaRecord(topic, 0, 0, NOW, b"c-17", value, ()), CountingRules(), PSEUDONYMIZER)


def test_no_fact_knows_the_customers_id() -> None:
    call = {"contact_id": "k", "queue": "q", "outcome": "answered", "ended_at": NOW / 1000}
    survey = {"response_id": "r", "answered_at": NOW / 1000, "answers": {"nps": 9}}
    for topic, data, kind in (
        ("call-completed", call, Segment),
        ("survey-completed", survey, SurveyResponse),
    ):
        fact = decoded(topic, data | {"customer_id": "c-17"})
        assert isinstance(fact, kind)
        assert fact.customer_id == PSEUDONYMIZER.pseudonym_at("c-17", NOW)


def test_a_value_and_what_takes_it_back_speak_of_the_same_pseudonym() -> None:
    value = decoded("customer-valued", {"customer_id": "c-17", "value": 5, "as_of": NOW / 1000})
    gone = decoded("customer-valued", {"customer_id": "c-17", "as_of": NOW / 1000, "deleted": True})
    assert isinstance(value, CustomerValuation)
    assert isinstance(gone, Tombstone)
    assert value.identity == gone.identity
    assert value.identity.id == PSEUDONYMIZER.pseudonym_at("c-17", NOW)


def test_an_id_that_is_a_number_is_the_same_customer_as_its_digits() -> None:
    call = {"contact_id": "k", "queue": "q", "outcome": "answered", "ended_at": NOW / 1000}
    assert decoded("call-completed", call | {"customer_id": 17}) == decoded(
        "call-completed", call | {"customer_id": "17"}
    )


def test_an_id_that_is_none_is_rejected_as_before_and_not_shown() -> None:
    call = {"contact_id": "k", "queue": "q", "outcome": "answered", "ended_at": NOW / 1000}
    wrong = decoded("call-completed", call | {"customer_id": ["c-17"]})
    assert isinstance(wrong, RejectedEvent)
    assert (wrong.reason, "c-17" in wrong.error) == ("wrong-type", False)


def test_a_comment_reaches_the_fact_scrubbed() -> None:
    survey = {"response_id": "r", "answered_at": NOW / 1000, "answers": {}, "comment": "ana@example.com!"}
    fact = decoded("survey-completed", survey)
    assert isinstance(fact, SurveyResponse)
    assert fact.comment == "[email]!"
