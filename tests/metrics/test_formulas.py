"""A formula knows itself: nobody else asks which shape it has, and all it says of itself agrees."""

import inspect
import re
from pathlib import Path

import pytest

from streamer.metrics import formulas
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.formulas import MetricFormula, ObservationMean, ReadingContext, TallyCounts
from streamer.metrics.live_group import LiveGroup
from streamer.metrics.tally import NUMBERS

STREAMER = Path(inspect.getfile(formulas)).parents[1]
SHAPES = [
    name
    for name, shape in vars(formulas).items()
    if inspect.isclass(shape)
    and issubclass(shape, MetricFormula)
    and shape not in (MetricFormula, ObservationMean)
]


def test_only_the_catalogue_names_a_shape_of_formula() -> None:
    assert "CountRatio" in SHAPES
    places = {
        str(path.relative_to(STREAMER))
        for path in STREAMER.rglob("*.py")
        if set(SHAPES) & set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    }
    assert places == {"metrics/catalogue.py", "metrics/formulas.py", "metrics/live_formulas.py"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_value_lies_within_the_bounds(name: str) -> None:
    counts = TallyCounts(dict.fromkeys(range(NUMBERS), 3))
    live = LiveGroup(True, True, *[3] * 12)
    context = ReadingContext(3600, 5, counts, live)
    for formula in CATALOGUE[name].measure.formulas.values():
        value = formula(counts, context).value
        assert value is not None
        assert formula.bounds[0] <= value <= formula.bounds[1]


@pytest.mark.parametrize("name", [name for name, metric in CATALOGUE.items() if metric.formula.mean])
def test_a_sample_of_equal_observations_has_their_value(name: str) -> None:
    mean = CATALOGUE[name].formula.mean
    assert mean is not None
    for bound in mean.bounds:
        value = min(bound, 1e6)
        sample = mean.sample_of(9, 9 * value, 9 * value * value)
        assert (sample.size, sample.value) == (9, value)


def test_a_quotient_gives_the_terms_to_compute_it_from_again() -> None:
    nps, csat, time = (CATALOGUE[name].formula for name in ("nps_score", "csat_ratio", "talk_time_seconds"))
    assert nps.terms is not None
    assert (nps.terms.scale, nps.terms.plus) == (100, ("nps_9", "nps_10"))
    assert csat.terms == (("csat_4", "csat_5"), (), tuple(f"csat_{score}" for score in range(1, 6)), 1)
    assert time.terms is None
