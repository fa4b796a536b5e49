"""Names and docstrings follow docs/words.md."""

import pytest

from tests.words import WordFigures, measure_words


@pytest.fixture(scope="module")
def figures() -> WordFigures:
    return measure_words()


def test_no_public_class_or_function_name_is_defined_twice(figures: WordFigures) -> None:
    assert figures.twice == ()


def test_at_most_a_fifth_of_the_classes_has_a_name_of_one_word(figures: WordFigures) -> None:
    assert figures.one_word_classes <= 0.20


def test_local_variables_are_nouns(figures: WordFigures) -> None:
    assert figures.nounless_locals <= 0.03


def test_docstrings_do_not_begin_mid_sentence(figures: WordFigures) -> None:
    assert figures.mid_sentence_docstrings <= 0.05


def test_core_concepts_have_examples(figures: WordFigures) -> None:
    assert figures.examples >= 30
