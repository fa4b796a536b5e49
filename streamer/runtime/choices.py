"""Say what was expected of a name that is none of those known."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LIKENESS: Final = 0.6
_FEW: Final = 12
"""Names that are all listed."""


def similar_names(name: str, choices: Iterable[str]) -> list[str]:
    """Return up to three of the choices that begin with `name` or are spelt much like it, whatever its case
    and whether its words are joined by - or _.

    >>> similar_names("timezon", ["retention", "timezone"]), similar_names("NPS", ["csat_mean", "nps_score"])
    (['timezone'], ['nps_score'])
    """
    choice_by_word = {_as_word(choice): choice for choice in choices if choice}
    word = _as_word(name)
    longer_words = [choice_word for choice_word in choice_by_word if word and choice_word.startswith(word)]
    matches = longer_words or get_close_matches(word, choice_by_word, cutoff=_LIKENESS)
    return [choice_by_word[choice_word] for choice_word in matches[:3]]


def expected_choice(name: str, choices: Iterable[str]) -> str:
    """Return what to say of a name that is none of the choices: all, but of many those that are much like it.

    >>> expected_choice("metric-9", [f"metric_{number}" for number in range(90, 120)])
    'did you mean metric_90 or metric_91 or metric_92?'
    >>> expected_choice("vocie", ["voice", "chat"]), expected_choice("x", [])
    ('expected one of voice, chat', 'there is none')
    """
    names = [choice for choice in choices if choice]
    if len(names) > _FEW and (matches := similar_names(name, names)):
        return f"did you mean {' or '.join(matches)}?"
    return f"expected one of {', '.join(names)}" if names else "there is none"


def _as_word(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")
