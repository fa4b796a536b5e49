"""Infer a first map of a table for its owner to edit; "?" marks what the table does not show."""

import codecs
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from streamer.events.event_bodies import SCALES
from streamer.events.kinds import KINDS
from streamer.events.models import OUTCOMES
from streamer.replay.column_matcher import infer_topic, match_columns
from streamer.replay.column_profile import UNKNOWN_WORDS, ColumnProfile, is_yes_word, profile_column
from streamer.replay.file_rows import FileFormat, FileRow, open_rows
from streamer.replay.input_files import FileType, InputFile
from streamer.replay.map_file import PLACEHOLDER
from streamer.replay.usage_error import ReplayUsageError

_SAMPLE_ROWS: Final = 1_000
_SAMPLE_BYTES: Final = 1 << 20
_OUTCOME_WORDS: Final = {
    "answered": "answered agent completed complete connected handled served completeagent completecaller",
    "abandoned": "abandoned abandon hang hangup lost missed cancelled canceled",
    "timeout": "timeout exitwithtimeout expired",
    "voicemail": "voicemail mailbox",
    "overflow": "overflow",
    "callback": "callback",
}
_OUTCOME_BY_WORD: Final = {
    word: outcome for outcome, words in _OUTCOME_WORDS.items() for word in words.split()
}


class TableSample(NamedTuple):
    """First rows of a file: its name, its format, and the cells by column."""

    name: str
    file_format: FileFormat
    cells: Mapping[str, Sequence[Any]]


def run_guess(files: Sequence[str], file_type: FileType | None) -> int:
    try:
        if len(files) != 1:
            raise ReplayUsageError(f"--guess: expected one file, not {len(files)}")
        with closing(InputFile(files[0])) as source:
            sys.stdout.write(infer_map(sample_table(source, file_type)))
    except ReplayUsageError as error:
        sys.stderr.write(f"streamer replay: {error}\n")
        return 2
    return 0


def sample_table(source: InputFile, file_type: FileType | None = None) -> TableSample:
    """Read the first 1,000 rows. Raises ReplayUsageError if there are none."""
    source.buffer_stdin()
    file_format = _detect_format(source, source.detect_type(file_type))
    with open_rows(source, file_format) as rows:
        sample_rows = [row for row in map(_row_object, islice(rows.rows, _SAMPLE_ROWS)) if row]
        columns = rows.columns or list(dict.fromkeys(name for row in sample_rows for name in row))
    if not sample_rows:
        raise ReplayUsageError(f"{source.name}: no rows to guess a map from")
    return TableSample(
        source.name, file_format, {name: [row.get(name) for row in sample_rows] for name in columns}
    )


def _row_object(row: FileRow) -> Mapping[str, Any]:
    """Return the row's cells by column; of JSON without lists and objects."""
    if isinstance(row.content, Mapping):
        return row.content
    try:
        decoded = (
            msgspec.json.decode(row.content, type=dict[str, Any]) if isinstance(row.content, bytes) else {}
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: value for name, value in decoded.items() if not isinstance(value, dict | list)}


def _detect_format(source: InputFile, file_type: FileType) -> FileFormat:
    if file_type != "csv":
        return FileFormat(file_type)
    with source.open() as opened:
        head = opened.content.read(_SAMPLE_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"
    header = head.partition(b"\n")[0].decode(encoding)
    return FileFormat(file_type, encoding, max(",;\t|", key=header.count))


def infer_map(sample: TableSample) -> str:
    """Return the text of a map (TOML) for a sampled table.

    >>> cells = {"Skill": ["sales", "billing", "sales"]}
    >>> text = infer_map(TableSample("calls.ndjson", FileFormat("ndjson"), cells))
    >>> print(text.partition("[columns]")[2].splitlines()[1])
    queue = "Skill"  # few different words (2)
    """
    profiles = {name: profile_column(cells) for name, cells in sample.cells.items()}
    topic = infer_topic(list(profiles))
    fields = match_columns(topic, profiles)
    if "response_id" not in fields and topic == "survey-completed":
        fields |= _row_id_column(profiles, fields)
    return "\n".join(_map_lines(sample, topic, fields, profiles)) + "\n"


def _row_id_column(profiles: Mapping[str, ColumnProfile], fields: Mapping[str, str]) -> dict[str, str]:
    """Use a column without a name as the row's id if its cells are all different: statistics programs
    write row names so."""
    unnamed_columns = [
        name
        for name, profile in profiles.items()
        if not name and profile.different and name not in fields.values()
    ]
    return {"response_id": unnamed_columns[0]} if unnamed_columns else {}


def _map_lines(
    sample: TableSample, topic: str, fields: Mapping[str, str], profiles: Mapping[str, ColumnProfile]
) -> Iterator[str]:
    yield f"# A first map of {sample.name}, guessed from names and the first rows: check each line."
    yield '# "?" is for you to fill in. `streamer replay --map-help` explains all that a map can say;'
    yield "# try it: streamer replay --map THIS --dry-run FILE | head"
    yield f"topic = {_toml_string(topic)}"
    if sample.file_format.file_type == "csv":
        yield f"encoding = {_toml_string(sample.file_format.encoding)}"
        yield f"delimiter = {_toml_string(sample.file_format.delimiter)}"
    yield f"unknown = {_toml_list(_unknown_words(sample))}"
    yield "\n[columns]"
    for field, column in fields.items():
        yield f"{field} = {_toml_string(column)}  # {profiles[column].describe()}"
    yield from _unused_lines(fields, profiles)
    yield from _missing_lines(topic, fields)
    yield from _times_lines(fields, profiles)
    yield from _units_lines(fields, profiles)
    yield from _values_lines(fields, profiles)


def _unknown_words(sample: TableSample) -> list[str]:
    cells = {cell.strip() for column in sample.cells.values() for cell in column if isinstance(cell, str)}
    return [word for word in UNKNOWN_WORDS if word == "" or word in cells]


def _unused_lines(fields: Mapping[str, str], profiles: Mapping[str, ColumnProfile]) -> Iterator[str]:
    unused_columns = [(name, profile) for name, profile in profiles.items() if name not in fields.values()]
    if unused_columns:
        yield "# Not used:"
    for name, profile in unused_columns:
        yield f"#   {_toml_string(name)}  {profile.describe()}{_scale_hint(profile)}"


def _scale_hint(profile: ColumnProfile) -> str:
    """Ask which survey question a column answers: its scale alone does not show it."""
    if profile.kind != "whole":
        return ""
    questions = [name for name, (low, high) in SCALES.items() if low <= profile.low and profile.high <= high]
    return (
        f": if this is a survey question, say which: {', '.join(questions)}"
        if questions and profile.high > 1
        else ""
    )


def _missing_lines(topic: str, fields: Mapping[str, str]) -> Iterator[str]:
    kind = KINDS[topic]
    missing = [
        name
        for name in kind.required
        if name not in fields and not any(field.startswith(f"{name}.") for field in fields)
    ]
    if missing:
        yield "\n[constants]"
    for name in missing:
        key = f"{name}.{next(iter(kind.objects[name]))}" if name in kind.objects else name
        yield (
            f"{key} = {_toml_string(PLACEHOLDER)}  "
            "# no column matches: set it here for all rows, or in [columns]"
        )


def _times_lines(fields: Mapping[str, str], profiles: Mapping[str, ColumnProfile]) -> Iterator[str]:
    time_profiles = [profiles[column] for field, column in fields.items() if field.endswith(("_at", "as_of"))]
    formats = list(dict.fromkeys(candidate.formats[0] for candidate in time_profiles if candidate.formats))
    if not formats:
        return
    yield "\n[times]"
    yield f"formats = {_toml_list(formats)}"
    for candidate in time_profiles:
        if len(candidate.formats) > 1:
            yield f"# also fits: {', '.join(candidate.formats[1:])}"
    if any("%" in candidate and "%z" not in candidate for candidate in formats):
        yield f"zone = {_toml_string(PLACEHOLDER)}  # such as Europe/Madrid: these times carry no zone"
    if any(candidate.kind == "clock" for candidate in time_profiles):
        yield f"date = {_toml_string(PLACEHOLDER)}  # such as 2026-11-21: these times carry no date"


def _units_lines(fields: Mapping[str, str], profiles: Mapping[str, ColumnProfile]) -> Iterator[str]:
    duration_profiles = {field: profiles[column] for field, column in fields.items() if field.endswith("_s")}
    if duration_profiles:
        yield "\n[units]"
    for field, profile in duration_profiles.items():
        is_clock = profile.kind == "clock"
        yield (
            f'{field} = "h:mm:ss"' if is_clock else f'{field} = "s"  # or ms, min, h: numbers do not show it'
        )


def _values_lines(fields: Mapping[str, str], profiles: Mapping[str, ColumnProfile]) -> Iterator[str]:
    for field, column in fields.items():
        profile = profiles[column]
        if field == "outcome":
            yield "\n[values.outcome]"
            yield from (_outcome_line(word) for word in profile.words)
        elif profile.kind == "flag":
            yield f"\n[values.{field}]"
            yield from (f"{_toml_string(word)} = {str(is_yes_word(word)).lower()}" for word in profile.words)


def _outcome_line(word: str) -> str:
    if (outcome := _OUTCOME_BY_WORD.get(word.casefold())) is not None:
        return f"{_toml_string(word)} = {_toml_string(outcome)}"
    return f"# {_toml_string(word)} = ?  # one of {', '.join(OUTCOMES)}; or skip such rows with [[rows]]"


def _toml_list(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_toml_string, words))}]"


def _toml_string(text: str) -> str:
    """Return a TOML string on one line, so that it cannot end a comment."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
