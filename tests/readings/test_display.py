"""Values are formatted for people."""

import pytest

from streamer.readings import display


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (None, "ratio", "–"),
        (0.8254, "ratio", "82.5 %"),
        (0, "count", "0"),
        (12345, "count", "12,345"),
        (-33.33, "points", "-33.3"),
        (4.256, "score", "4.26"),
        (59.94, "seconds", "59.9 s"),
        (60, "seconds", "1:00 min"),
        (245.4, "seconds", "4:05 min"),
        (3725, "seconds", "1:02:05 h"),
        (1234.5, "currency", "1,234.50 EUR"),
        (2.04, "erlangs", "2.0 erl"),
    ],
)
def test_a_value(number: float | None, unit: str, expected: str) -> None:
    assert display.format_value(number, unit, "EUR") == expected


@pytest.mark.parametrize(
    ("data_age_s", "expected"),
    [
        (None, "data age unknown: no worker has caught up yet"),
        (2.4, "complete as of 2 s ago"),
    ],
)
def test_freshness(data_age_s: float | None, expected: str) -> None:
    assert display.format_data_age(data_age_s) == expected
