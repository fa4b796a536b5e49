"""Map a survey's questions to the contract's, as the settings say. Nothing is guessed: a scale of 0 to 10
may ask anything."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import InvalidEventError, payload_error, read_flag, read_score, read_text
from streamer.events.adapters.source import Options
from streamer.events.decoding import SCALES
from streamer.events.models import QUESTIONS

CONTRACT_QUESTIONS: Final = (*QUESTIONS, "comment")
OPTIONS: Final[Options] = {"questions": {}, "values": {"yes": True, "no": False}}
HELP: Final = """\
  questions                     what each question measures: nps 0-10, csat 1-5, ces 1-7 (7 =
                                easy), effort 1-5 (1 = little), cnx 1-10, resolved_first (yes or
                                no), comment
  values                        what an answer in words stands for, upper and lower case alike;
                                default { yes = true, no = false }"""
_NAME = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_-]{1,40}")


def configured_questions(source: str, options: Options) -> Mapping[str, str]:
    """Return the contract's question for each of the source's. Raise InvalidEventError for a wrong setting.

    >>> configured_questions("formbricks", {"questions": {"recommend": "nps"}})
    {'recommend': 'nps'}
    """
    table = options.get("questions", {})
    if not isinstance(table, Mapping) or any(
        question not in CONTRACT_QUESTIONS for question in table.values()
    ):
        expected = f"a table of questions by name, each one of {', '.join(CONTRACT_QUESTIONS)}"
        raise InvalidEventError(
            "unknown-value", f"questions in [sources.{source}] is invalid, expected {expected}"
        )
    return table


def unmapped_question_error(source: str, names: Iterable[str]) -> InvalidEventError:
    """Return the error for questions that the settings do not map."""
    shown_names = sorted(name for name in names if _NAME.fullmatch(name))[:5]
    hint = f" (asked here: {', '.join(shown_names)})" if shown_names else ""
    example = f'questions = {{ "{shown_names[0] if shown_names else "its name"}" = "nps" }}'
    return InvalidEventError(
        "missing", f"the survey's questions are not mapped{hint}: set {example} in [sources.{source}]"
    )


def mapped_answers(
    source: str, located_answers: Mapping[str, tuple[str, Any]], options: Options
) -> dict[str, Any]:
    """Return the data's `answers` and `comment`.

    Answers are given by the name of their question: the path, for error messages, and the value. A question
    without an answer is skipped. Where two questions are mapped to the same one, the answered one counts.

    >>> options = {"questions": {"score": "nps"}}
    >>> mapped_answers("wootric", {"score": ("response.score", "9")}, options)
    {'answers': {'nps': 9}}
    """
    question_by_name = configured_questions(source, options)
    values: dict[str, Any] = {}
    for name, question in question_by_name.items():
        path, value = located_answers.get(name, (name, None))
        if values.get(question) is None:
            values[question] = read_answer(question, path, value, options)
    comment = values.pop("comment", None)
    return {"answers": values} | ({} if comment is None else {"comment": comment})


def read_answer(question: str, path: str, value: Any, options: Options) -> int | bool | str | None:
    """Read the answer to one question of the contract. Raise InvalidEventError if it cannot be one."""
    if question == "comment":
        return read_text(path, value)
    value = _translate_answer(value, options)
    if question == "resolved_first":
        return read_flag(path, value)
    if isinstance(value, bool):
        raise payload_error("wrong-type", path, value, "a number")
    return read_score(path, value, SCALES[question])


def _translate_answer(value: Any, options: Options) -> Any:
    values = options.get("values", OPTIONS["values"])
    if not isinstance(value, str | int) or isinstance(value, bool) or not isinstance(values, Mapping):
        return value
    if isinstance(value, int) and abs(value) > 1000:  # on no scale, and some are too long to convert to text
        return value
    word = str(value).strip().lower()
    return next((meaning for name, meaning in values.items() if str(name).lower() == word), value)
