"""Tests: the limits of fields, and that refused values are not shown."""

from collections.abc import Iterator
from typing import Any

import pytest

from streamer.events.adapters import phone_customers
from streamer.events.adapters.fields import (
    InvalidEventError,
    ValueReader,
    read_epoch_s,
    read_milliseconds,
    read_seconds,
)
from streamer.events.adapters.source import Fragment, Options, SourceAdapter, read_payload
from streamer.events.models import RejectedEvent

YEAR_S = 366 * 86_400
PHONE = 34_600_555_666


@pytest.mark.parametrize(
    ("reader", "last", "beyond", "reason"),
    [
        (read_epoch_s, 4_102_444_799, 4_102_444_800, "no-time"),
        (read_seconds, YEAR_S, YEAR_S + 1, "too-much"),
        (read_milliseconds, YEAR_S * 1000, YEAR_S * 1000 + 1, "too-much"),
        (read_seconds, 0, -1, "negative"),
    ],
)
def test_what_is_beyond_all_times_and_durations_is_refused(
    reader: ValueReader, last: int, beyond: int, reason: str
) -> None:
    assert reader("Field", last) is not None
    with pytest.raises(InvalidEventError) as refused:
        reader("Field", beyond)
    assert refused.value.reason == reason


@pytest.mark.parametrize("reader", [read_epoch_s, read_seconds])
@pytest.mark.parametrize("number", [PHONE, str(PHONE), f"+{PHONE}"])
def test_a_telephone_number_in_place_of_a_time_is_not_shown(reader: ValueReader, number: Any) -> None:
    with pytest.raises(InvalidEventError) as refused:
        reader("Field", number)
    assert "Field" in refused.value.error
    assert str(PHONE) not in refused.value.error


def named_fragment(name: Any, options: Options) -> Iterator[Fragment]:
    yield Fragment(name, options["kind"], 0, {})


SOURCE = SourceAdapter("named", "By what it is named", "", named_fragment, form="line", options={"kind": "a"})


@pytest.mark.parametrize(("length", "kept"), [(0, False), (1, True), (256, True), (257, False)])
def test_a_contact_has_a_name_that_can_be_kept(length: int, kept: bool) -> None:
    (found,) = read_payload(SOURCE, "x" * length, {})
    assert isinstance(found, Fragment if kept else RejectedEvent)


def test_options_that_are_not_given_are_the_sources_own() -> None:
    assert read_payload(SOURCE, "x", {}) == [Fragment("x", "a", 0, {})]
    assert read_payload(SOURCE, "x", {"kind": "b"}) == [Fragment("x", "b", 0, {})]


@pytest.mark.parametrize(
    ("number", "customer"),
    [
        ("+34915550123", "+34915550123"),
        ("1234567", "1234567"),
        ("123456", None),
        ("0000000", None),
        ("0000001", "0000001"),
        ("<unknown>", None),
        ("Anonymous", None),
        (" ", None),
        (None, None),
    ],
)
def test_who_calls_is_a_customer_by_a_number_of_their_own(number: str | None, customer: str | None) -> None:
    assert phone_customers.read_phone_customer("number", number, phone_customers.OPTIONS) == customer
    assert (
        phone_customers.read_phone_customer("number", number, {**phone_customers.OPTIONS, "customers": False})
        is None
    )
