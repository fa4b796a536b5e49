"""Infer a first map of a table for its owner to edit; "?" marks what the table does not show."""

import codecs
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from streamer.events.forms import SCALES
from streamer.events.models import OUTCOMES
from streamer.replay.files import Form, Input
from streamer.replay.likeness import matched, topic_of
from streamer.replay.mapfile import OPEN, REQUIRED
from streamer.replay.patterns import UNKNOWN, Look, is_yes, look
from streamer.replay.rows import Row, Shape, reading
from streamer.replay.usage import WrongUseError

_ROWS: Final = 1_000
_BYTES: Final = 1 << 20
_OUTCOMES: Final = {
    "answered": "answered agent completed complete connected handled served completeagent completecaller",
    "abandoned": "abandoned abandon hang hangup lost missed cancelled canceled",
    "timeout": "timeout exitwithtimeout expired",
    "voicemail": "voicemail mailbox",
    "overflow": "overflow",
    "callback": "callback",
}
_MEANT: Final = {word: outcome for outcome, words in _OUTCOMES.items() for word in words.split()}


class Table(NamedTuple):
    """First rows of a file: its name, its format, and the cells by column."""

    name: str
    shape: Shape
    cells: Mapping[str, Sequence[Any]]


def run_guess(files: Sequence[str], form: Form | None) -> int:
    try:
        if len(files) != 1:
            raise WrongUseError(f"--guess: expected one file, not {len(files)}")
        with closing(Input(files[0])) as source:
            sys.stdout.write(guessed(table(source, form)))
    except WrongUseError as error:
        sys.stderr.write(f"streamer replay: {error}\n")
        return 2
    return 0


def table(source: Input, form: Form | None = None) -> Table:
    """Read the first 1,000 rows. Raises ReplayUsageError if there are none."""
    source.keep()
    shape = _shape(source, source.form(form))
    with reading(source, shape) as rows:
        found = [row for row in map(_object, islice(rows.rows, _ROWS)) if row]
        columns = rows.columns or list(dict.fromkeys(name for row in found for name in row))
    if not found:
        raise WrongUseError(f"{source.name}: no rows to guess a map from")
    return Table(source.name, shape, {name: [row.get(name) for row in found] for name in columns})


def _object(row: Row) -> Mapping[str, Any]:
    """Return the row's cells by column; of JSON without lists and objects."""
    if isinstance(row.content, Mapping):
        return row.content
    try:
        found = (
            msgspec.json.decode(row.content, type=dict[str, Any]) if isinstance(row.content, bytes) else {}
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: value for name, value in found.items() if not isinstance(value, dict | list)}


def _shape(source: Input, form: Form) -> Shape:
    if form != "csv":
        return Shape(form)
    with source.open() as opened:
        begin = opened.content.read(_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin)
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    header = begin.partition(b"\n")[0].decode(encoding)
    return Shape(form, encoding, max(",;\t|", key=header.count))


def guessed(found: Table) -> str:
    """Return the text of a map (TOML) for a sampled table.

    >>> cells = {"Skill": ["sales", "billing", "sales"]}
    >>> text = guessed(Table("calls.ndjson", Shape("ndjson"), cells))
    >>> print(text.partition("[columns]")[2].splitlines()[1])
    queue = "Skill"  # few different words (2)
    """
    looks = {name: look(cells) for name, cells in found.cells.items()}
    topic = topic_of(list(looks))
    fields = matched(topic, looks)
    if "response_id" not in fields and topic == "survey-completed":
        fields |= _row_names(looks, fields)
    return "\n".join(_text(found, topic, fields, looks)) + "\n"


def _row_names(looks: Mapping[str, Look], fields: Mapping[str, str]) -> dict[str, str]:
    """Use a column without a name as the row's id if its cells are all different: statistics programs
    write row names so."""
    free = [name for name, one in looks.items() if not name and one.different and name not in fields.values()]
    return {"response_id": free[0]} if free else {}


def _text(found: Table, topic: str, fields: Mapping[str, str], looks: Mapping[str, Look]) -> Iterator[str]:
    yield f"# A first map of {found.name}, guessed from names and the first rows: check each line."
    yield '# "?" is for you to fill in. `streamer replay --map-help` explains all that a map can say;'
    yield "# try it: streamer replay --map THIS --dry-run FILE | head"
    yield f"topic = {_quoted(topic)}"
    if found.shape.form == "csv":
        yield f"encoding = {_quoted(found.shape.encoding)}"
        yield f"delimiter = {_quoted(found.shape.delimiter)}"
    yield f"unknown = {_listed(_unknown(found))}"
    yield "\n[columns]"
    for field, column in fields.items():
        yield f"{field} = {_quoted(column)}  # {looks[column].told()}"
    yield from _others(fields, looks)
    yield from _missing(topic, fields)
    yield from _times(fields, looks)
    yield from _units(fields, looks)
    yield from _values(fields, looks)


def _unknown(found: Table) -> list[str]:
    cells = {cell.strip() for column in found.cells.values() for cell in column if isinstance(cell, str)}
    return [word for word in UNKNOWN if word == "" or word in cells]


def _others(fields: Mapping[str, str], looks: Mapping[str, Look]) -> Iterator[str]:
    rest = [(name, one) for name, one in looks.items() if name not in fields.values()]
    if rest:
        yield "# Not used:"
    for name, one in rest:
        yield f"#   {_quoted(name)}  {one.told()}{_question(one)}"


def _question(one: Look) -> str:
    """Ask which survey question a column answers: its scale alone does not show it."""
    if one.kind != "whole":
        return ""
    fits = [name for name, (low, high) in SCALES.items() if low <= one.low and one.high <= high]
    return f": if this is a survey question, say which: {', '.join(fits)}" if fits and one.high > 1 else ""


def _missing(topic: str, fields: Mapping[str, str]) -> Iterator[str]:
    missing = [
        name
        for name in REQUIRED[topic]
        if name not in fields and not any(field.startswith(f"{name}.") for field in fields)
    ]
    if missing:
        yield "\n[constants]"
    for name in missing:
        own = "answers.nps" if name == "answers" else name
        yield f"{own} = {_quoted(OPEN)}  # no column matches: set it here for all rows, or in [columns]"


def _times(fields: Mapping[str, str], looks: Mapping[str, Look]) -> Iterator[str]:
    found = [looks[column] for field, column in fields.items() if field.endswith(("_at", "as_of"))]
    formats = list(dict.fromkeys(one.formats[0] for one in found if one.formats))
    if not formats:
        return
    yield "\n[times]"
    yield f"formats = {_listed(formats)}"
    for one in found:
        if len(one.formats) > 1:
            yield f"# also fits: {', '.join(one.formats[1:])}"
    if any("%" in one and "%z" not in one for one in formats):
        yield f"zone = {_quoted(OPEN)}  # such as Europe/Madrid: these times carry no zone"
    if any(one.kind == "clock" for one in found):
        yield f"date = {_quoted(OPEN)}  # such as 2026-11-21: these times carry no date"


def _units(fields: Mapping[str, str], looks: Mapping[str, Look]) -> Iterator[str]:
    found = {field: looks[column] for field, column in fields.items() if field.endswith("_s")}
    if found:
        yield "\n[units]"
    for field, one in found.items():
        clock = one.kind == "clock"
        yield f'{field} = "h:mm:ss"' if clock else f'{field} = "s"  # or ms, min, h: numbers do not show it'


def _values(fields: Mapping[str, str], looks: Mapping[str, Look]) -> Iterator[str]:
    for field, column in fields.items():
        one = looks[column]
        if field == "outcome":
            yield "\n[values.outcome]"
            yield from (_outcome(word) for word in one.words)
        elif one.kind == "flag":
            yield f"\n[values.{field}]"
            yield from (f"{_quoted(word)} = {str(is_yes(word)).lower()}" for word in one.words)


def _outcome(word: str) -> str:
    if (found := _MEANT.get(word.casefold())) is not None:
        return f"{_quoted(word)} = {_quoted(found)}"
    return f"# {_quoted(word)} = ?  # one of {', '.join(OUTCOMES)}; or skip such rows with [[rows]]"


def _listed(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"


def _quoted(text: str) -> str:
    """Return a TOML string on one line, so that it cannot end a comment."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
