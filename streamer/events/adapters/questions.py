"""Map a survey's questions to the contract's, as the settings say. Nothing is guessed: a scale of 0 to 10
may ask anything."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import WrongError, flag, score, text, wrong
from streamer.events.adapters.source import Options
from streamer.events.decoding import SCALES
from streamer.events.models import QUESTIONS

OURS: Final = (*QUESTIONS, "comment")
OPTIONS: Final[Options] = {"questions": {}, "values": {"yes": True, "no": False}}
HELP: Final = """\
  questions                     what each question measures: nps 0-10, csat 1-5, ces 1-7 (7 =
                                easy), effort 1-5 (1 = little), cnx 1-10, resolved_first (yes or
                                no), comment
  values                        what an answer in words stands for, upper and lower case alike;
                                default { yes = true, no = false }"""
_NAME = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_-]{1,40}")


def said(source: str, options: Options) -> Mapping[str, str]:
    """Return the contract's question for each of the source's. Raise InvalidEventError for a wrong setting.

    >>> said("formbricks", {"questions": {"recommend": "nps"}})
    {'recommend': 'nps'}
    """
    table = options.get("questions", {})
    if not isinstance(table, Mapping) or any(ours not in OURS for ours in table.values()):
        expected = f"a table of questions by name, each one of {', '.join(OURS)}"
        raise WrongError("unknown-value", f"questions in [sources.{source}] is invalid, expected {expected}")
    return table


def unsaid(source: str, names: Iterable[str]) -> WrongError:
    """Return the error for questions that the settings do not map."""
    shown = sorted(name for name in names if _NAME.fullmatch(name))[:5]
    asked = f" (asked here: {', '.join(shown)})" if shown else ""
    example = f'questions = {{ "{shown[0] if shown else "its name"}" = "nps" }}'
    return WrongError(
        "missing", f"the survey's questions are not mapped{asked}: set {example} in [sources.{source}]"
    )


def answers(source: str, found: Mapping[str, tuple[str, Any]], options: Options) -> dict[str, Any]:
    """Return the data's `answers` and `comment`.

    Answers are given by the name of their question: the path, for error messages, and the value. A question
    without an answer is skipped. Where two questions are mapped to the same one, the answered one counts.

    >>> answers("wootric", {"score": ("response.score", "9")}, {"questions": {"score": "nps"}})
    {'answers': {'nps': 9}}
    """
    questions = said(source, options)
    read: dict[str, Any] = {}
    for name, ours in questions.items():
        path, value = found.get(name, (name, None))
        if read.get(ours) is None:
            read[ours] = answer(ours, path, value, options)
    comment = read.pop("comment", None)
    return {"answers": read} | ({} if comment is None else {"comment": comment})


def answer(ours: str, path: str, value: Any, options: Options) -> int | bool | str | None:
    """Read the answer to one question of the contract. Raise InvalidEventError if it cannot be one."""
    if ours == "comment":
        return text(path, value)
    value = _meant(value, options)
    if ours == "resolved_first":
        return flag(path, value)
    if isinstance(value, bool):
        raise wrong("wrong-type", path, value, "a number")
    return score(path, value, SCALES[ours])


def _meant(value: Any, options: Options) -> Any:
    values = options.get("values", OPTIONS["values"])
    if not isinstance(value, str | int) or isinstance(value, bool) or not isinstance(values, Mapping):
        return value
    if isinstance(value, int) and abs(value) > 1000:  # on no scale, and some are too long to convert to text
        return value
    word = str(value).strip().lower()
    return next((meant for name, meant in values.items() if str(name).lower() == word), value)
