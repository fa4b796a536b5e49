"""Formatting of figures for use in a sentence."""

import pytest

from streamer.alerts.formatting import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (2 * 86_400 - 1, "48 h"),
        (2 * 86_400, "2 days"), (2 * 31_557_600 - 1, "730 days"), (2 * 31_557_600, "2 years"),
        (2_629_843_200, "83 years"),
    ],
)  # fmt: skip
def test_a_time_is_said_in_the_greatest_unit_that_fits_twice(seconds: int, said: str) -> None:
    assert duration(1000 * seconds) == said
