"""Commands for dead letters: each reads the open letters and reports what it does."""

import base64
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import IO, Any

import click
import msgspec

from streamer.dead_letters.dead_letter import DeadLetter, RecordCoordinates
from streamer.dead_letters.edit import FieldEdits, parse_edit
from streamer.dead_letters.kafka import fetch_originals, open_letters, retry_producer
from streamer.dead_letters.letter_filter import (
    LetterFilter,
    LetterGroup,
    group_letters,
    parse_letter_filter,
    require_letter_filter,
)
from streamer.dead_letters.retry import RECORD_GONE, RetryOutcome, execute_retries, plan_retries
from streamer.events.decoding import KafkaRecord
from streamer.settings import Settings

__all__ = [
    "close",
    "erase_letters",
    "export",
    "parse_letter_filter",
    "require_letter_filter",
    "retry",
    "show",
    "show_all",
]

PERSONAL_DATA_WARNING = "the original record follows: it holds personal data"


async def show_all(settings: Settings, letter_filter: LetterFilter, as_json: bool) -> None:
    letters = letter_filter.select(await open_letters(settings.kafka))
    groups = group_letters(letters)
    if as_json:
        click.echo(msgspec.json.encode([group.summary() for group in groups]))
    elif not groups:
        click.echo("there are no open dead letters")
    else:
        for group in groups:
            _print_group(group)
        click.echo(
            f"{len(letters):,} open; to see one: `streamer dead-letters show {letters[-1].coordinates}`"
        )


def _print_group(group: LetterGroup) -> None:
    first, last = group.letters[0], group.letters[-1]
    letter_count = len(group.letters)
    times = first.time_utc if first.time_utc == last.time_utc else f"{first.time_utc} to {last.time_utc}"
    noun = "letter" if letter_count == 1 else "letters"
    click.echo(f"{group.reason}  {group.topic}  {letter_count:,} {noun}, {times}")
    click.echo(f"    {last.coordinates}  {last.error}")


async def show(settings: Settings, letter_filter: LetterFilter, with_original: bool) -> int:
    """Print a letter. Return the exit code: 1 if the original is requested and gone."""
    (letter,) = letter_filter.select(await open_letters(settings.kafka))
    for name, value in _letter_fields(letter).items():
        click.echo(f"{name:<9} {value}")
    click.echo(_pretty_json(letter.redacted_value))
    if not with_original:
        return 0
    originals_by_coordinates = await fetch_originals(settings.kafka, [letter])
    if letter.coordinates not in originals_by_coordinates:
        click.echo(f"{letter.coordinates}: {RECORD_GONE}", err=True)
        return 1
    click.echo(PERSONAL_DATA_WARNING, err=True)
    click.echo(
        _pretty_json(msgspec.json.encode(_original_fields(originals_by_coordinates[letter.coordinates])))
    )
    return 0


def _letter_fields(letter: DeadLetter) -> dict[str, object]:
    letter_fields: dict[str, object] = {
        "record": str(letter.coordinates),
        "at": letter.time_utc,
        "reason": letter.reason,
        "error": letter.error,
    }
    letter_fields |= {} if letter.size_bytes is None else {"bytes": str(letter.size_bytes)}
    return letter_fields | ({} if letter.customer is None else {"customer": letter.customer})


def _pretty_json(value: bytes) -> str:
    try:
        return msgspec.json.format(value, indent=2).decode()
    except (msgspec.DecodeError, RecursionError):
        return value.decode(errors="replace")


async def retry(
    settings: Settings, letter_filter: LetterFilter, sets: Sequence[str], force: bool, dry_run: bool
) -> int:
    """Send rejected records again, edited by `sets` (FIELD=JSON each), and close their letters.

    Return the exit code: 1 if any of the letters stays open.
    """
    edits = [parse_edit(text) for text in sets]
    letters = letter_filter.select(await open_letters(settings.kafka))
    originals_by_coordinates = await fetch_originals(settings.kafka, letters) if letters else {}
    outcomes = list(plan_retries(letters, originals_by_coordinates, edits, force, settings))
    if not dry_run and any(outcome.record is not None for outcome in outcomes):
        async with retry_producer(settings.kafka) as producer:
            await execute_retries(outcomes, producer)
    return _report_outcomes(outcomes, dry_run, edits)


def _report_outcomes(outcomes: Sequence[RetryOutcome], dry_run: bool, edits: FieldEdits) -> int:
    action = "would be sent again" if dry_run else "sent again"
    for outcome in outcomes:
        result = f"{action}, {outcome.explanation}" if outcome.record is not None and dry_run else action
        refusal = f"not sent: {outcome.explanation}"
        click.echo(f"{outcome.letter.coordinates}  {result if outcome.record is not None else refusal}")
    left_open = [outcome for outcome in outcomes if outcome.record is None]
    click.echo(f"{len(outcomes) - len(left_open):,} {action}, {len(left_open):,} not sent")
    if any(outcome.explanation.startswith("would be rejected") for outcome in left_open):
        remedy = "set other values" if edits else "correct them with --set FIELD=JSON, change the setting"
        click.echo(
            f"Records that would be rejected again are not sent: {remedy}, or send them anyway with --force"
        )
    return 1 if left_open else 0


async def close(settings: Settings, letter_filter: LetterFilter) -> None:
    letters = letter_filter.select(await open_letters(settings.kafka))
    click.echo(f"{await _close_letters(settings, letters):,} closed; their records were not sent again")


async def erase_letters(settings: Settings, is_customer: Callable[[str], bool]) -> int:
    """Close the letters of a customer, by their pseudonym, and return how many there were.

    Kafka drops their content when it compacts the topic. Raise KafkaError if Kafka cannot be reached.
    """
    letters = await open_letters(settings.kafka)
    return await _close_letters(
        settings,
        [letter for letter in letters if letter.customer is not None and is_customer(letter.customer)],
    )


async def _close_letters(settings: Settings, letters: Sequence[DeadLetter]) -> int:
    if letters:
        async with retry_producer(settings.kafka) as producer:
            await producer.close(letters)
    return len(letters)


async def export(settings: Settings, letter_filter: LetterFilter, path: str, with_originals: bool) -> None:
    letters = letter_filter.select(await open_letters(settings.kafka))
    originals_by_coordinates = (
        await fetch_originals(settings.kafka, letters) if with_originals and letters else {}
    )
    if with_originals:
        click.echo(
            PERSONAL_DATA_WARNING.replace("record follows: it holds", "records are written: they hold"),
            err=True,
        )
    with nullcontext(sys.stdout.buffer) if path == "-" else _open_private(path) as file:
        file.writelines(_export_lines(letters, originals_by_coordinates, with_originals))
        file.flush()
    click.echo(f"{len(letters):,} letters", err=True)


def _open_private(path: str) -> IO[bytes]:
    """Open a file for writing that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _export_lines(
    letters: Iterable[DeadLetter],
    originals_by_coordinates: Mapping[RecordCoordinates, KafkaRecord],
    with_originals: bool,
) -> Iterable[bytes]:
    for letter in letters:
        letter_fields: dict[str, Any] = {
            **letter.coordinates._asdict(),
            **_letter_fields(letter),
            "letter": _json_value(letter.redacted_value),
        }
        if with_originals:
            letter_fields["original"] = (
                _original_fields(originals_by_coordinates[letter.coordinates])
                if letter.coordinates in originals_by_coordinates
                else None
            )
        yield msgspec.json.encode(letter_fields) + b"\n"


def _original_fields(record: KafkaRecord) -> dict[str, Any]:
    return {
        "key": _text_or_base64(record.key),
        "headers": {name: _text_or_base64(value) for name, value in record.headers},
        "value": _json_value(record.value),
    }


def _json_value(value: bytes | None) -> Any:
    """Return JSON on one line as it is, anything else as text."""
    try:
        return msgspec.Raw(msgspec.json.format(value or b"", indent=-1))
    except (msgspec.DecodeError, RecursionError):
        return _text_or_base64(value)


def _text_or_base64(value: bytes | None) -> str | None:
    """Return the value as text, or as base64 if it is not UTF-8.

    >>> _text_or_base64(b"key"), _text_or_base64(b"\\xff")
    ('key', 'base64:/w==')
    """
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
