"""The examples in docstrings say what is so."""

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import streamer

MODULES = [one.name for one in walk_packages(streamer.__path__, "streamer.") if "__main__" not in one.name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(import_module(name)) for name in MODULES]
    assert sum(len(one.examples) for tests in found for one in tests) > 5
