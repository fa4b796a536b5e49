"""Commands for dead letters: each reads the open letters and reports what it does."""

import base64
import os
import sys
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import IO, Any

import click
import msgspec

from streamer.dead_letters.dead_letter import DeadLetter, RecordCoordinates
from streamer.dead_letters.edit import FieldEdits, parse_edit
from streamer.dead_letters.kafka import letter_chunks, open_letters, original_reader, retry_producer
from streamer.dead_letters.letter_filter import (
    LetterFilter,
    LetterGroup,
    group_letters,
    newest_letter,
    parse_letter_filter,
    require_letter_filter,
)
from streamer.dead_letters.retry import RECORD_GONE, RetryOutcome, RetryResult, execute_retries, plan_retries
from streamer.events.decoding import KafkaRecord
from streamer.runtime.terminal import visible_text
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


@asynccontextmanager
async def _selected_letters(
    settings: Settings, letter_filter: LetterFilter
) -> AsyncIterator[AsyncIterator[DeadLetter]]:
    """Open an iterator over the letters a command is about. Raise DeadLetterError for coordinates without
    an open letter."""
    async with open_letters(settings.kafka, letter_filter.coordinates) as letters:
        if letter_filter.coordinates:
            selected = letter_filter.select([letter async for letter in letters])
            yield _iterate(selected)
        else:
            yield (letter async for letter in letters if letter_filter.matches(letter))


async def _iterate(letters: Iterable[DeadLetter]) -> AsyncIterator[DeadLetter]:
    for letter in letters:
        yield letter


async def show_all(settings: Settings, letter_filter: LetterFilter, as_json: bool) -> None:
    async with _selected_letters(settings, letter_filter) as letters:
        groups = await group_letters(letters)
    if as_json:
        click.echo(msgspec.json.encode([group.summary() for group in groups]))
    elif not groups:
        click.echo("there are no open dead letters")
    else:
        for group in groups:
            _print_group(group)
        letter_count = sum(group.letter_count for group in groups)
        example = newest_letter(groups).coordinates
        click.echo(f"{letter_count:,} open; to see one: `streamer dead-letters show {example}`")


def _print_group(group: LetterGroup) -> None:
    first, last = group.first.time_utc, group.last.time_utc
    times = first if first == last else f"{first} to {last}"
    noun = "letter" if group.letter_count == 1 else "letters"
    click.echo(visible_text(f"{group.reason}  {group.topic}  {group.letter_count:,} {noun}, {times}"))
    click.echo(visible_text(f"    {group.last.coordinates}  {group.last.error}"))


async def show(settings: Settings, letter_filter: LetterFilter, with_original: bool) -> int:
    """Print a letter. Return the exit code: 1 if the original is requested and gone."""
    async with _selected_letters(settings, letter_filter) as letters:
        (letter,) = [letter async for letter in letters]
    for name, value in _letter_fields(letter).items():
        click.echo(visible_text(f"{name:<9} {value}"))
    click.echo(_pretty_json(letter.redacted_value))
    if not with_original:
        return 0
    async with original_reader(settings.kafka) as reader:
        originals_by_coordinates = await reader.fetch([letter])
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
        return visible_text(msgspec.json.format(value, indent=2).decode())
    except (msgspec.DecodeError, RecursionError):
        return visible_text(value.decode(errors="replace"))


async def retry(
    settings: Settings, letter_filter: LetterFilter, sets: Sequence[str], force: bool, dry_run: bool
) -> int:
    """Send rejected records again, edited by `sets` (FIELD=JSON each), and close their letters.

    Return the exit code: 1 if any of the letters stays open.
    """
    edits = [parse_edit(text) for text in sets]
    results: Counter[RetryResult] = Counter()
    async with (
        _selected_letters(settings, letter_filter) as letters,
        original_reader(settings.kafka) as reader,
        nullcontext() if dry_run else retry_producer(settings.kafka) as producer,
    ):
        async for chunk in letter_chunks(letters):
            outcomes = list(plan_retries(chunk, await reader.fetch(chunk), edits, force, settings))
            if producer is not None:
                await execute_retries(outcomes, producer)
            _print_outcomes(outcomes, dry_run)
            results.update(outcome.result for outcome in outcomes)
    return _report_results(results, dry_run, edits)


def _print_outcomes(outcomes: Iterable[RetryOutcome], dry_run: bool) -> None:
    for outcome in outcomes:
        sent = f"would be sent again, {outcome.explanation}" if dry_run else "sent again"
        refusal = f"not sent: {outcome.explanation}"
        click.echo(f"{outcome.letter.coordinates}  {sent if outcome.record is not None else refusal}")


def _report_results(results: Counter[RetryResult], dry_run: bool, edits: FieldEdits) -> int:
    action = "would be sent again" if dry_run else "sent again"
    left_open = results["impossible"] + results["would be rejected"]
    click.echo(f"{results['sent']:,} {action}, {left_open:,} not sent")
    if results["would be rejected"]:
        remedy = "set other values" if edits else "correct them with --set FIELD=JSON, change the setting"
        click.echo(
            f"Records that would be rejected again are not sent: {remedy}, or send them anyway with --force"
        )
    return 1 if left_open else 0


async def close(settings: Settings, letter_filter: LetterFilter) -> None:
    async with _selected_letters(settings, letter_filter) as letters:
        closed_count = await _close_letters(settings, letters)
    click.echo(f"{closed_count:,} closed; their records were not sent again")


async def erase_letters(settings: Settings, is_customer: Callable[[str], bool]) -> int:
    """Close the letters of a customer, by their pseudonym, and return how many there were.

    Kafka drops their content when it compacts the topic. Raise KafkaError if Kafka cannot be reached.
    """
    async with open_letters(settings.kafka) as letters:
        return await _close_letters(
            settings,
            (
                letter
                async for letter in letters
                if letter.customer is not None and is_customer(letter.customer)
            ),
        )


async def _close_letters(settings: Settings, letters: AsyncIterable[DeadLetter]) -> int:
    letter_count = 0
    async with retry_producer(settings.kafka) as producer:
        async for chunk in letter_chunks(letters):
            await producer.close(chunk)
            letter_count += len(chunk)
    return letter_count


async def export(settings: Settings, letter_filter: LetterFilter, path: str, with_originals: bool) -> None:
    if with_originals:
        click.echo(
            PERSONAL_DATA_WARNING.replace("record follows: it holds", "records are written: they hold"),
            err=True,
        )
    letter_count = 0
    async with (
        _selected_letters(settings, letter_filter) as letters,
        original_reader(settings.kafka) if with_originals else nullcontext() as reader,
    ):
        with nullcontext(sys.stdout.buffer) if path == "-" else _open_private(path) as file:
            async for chunk in letter_chunks(letters):
                originals_by_coordinates = {} if reader is None else await reader.fetch(chunk)
                file.writelines(_export_lines(chunk, originals_by_coordinates, with_originals))
                letter_count += len(chunk)
            file.flush()
    click.echo(f"{letter_count:,} letters", err=True)


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
