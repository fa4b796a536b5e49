"""Commands for dead letters: each reads the open letters and reports what it does."""

import base64
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import IO, Any

import click
import msgspec

from streamer.dead_letters.choice import Choice, Group, choice, grouped, some
from streamer.dead_letters.kafka import open_letters, originals, post
from streamer.dead_letters.letter import Letter, Place
from streamer.dead_letters.mending import Changes, change
from streamer.dead_letters.retrying import GONE, Fate, carry_out, fates
from streamer.events.decoding import Record
from streamer.settings import Settings

__all__ = ["choice", "close", "erase", "export", "retry", "show", "show_all", "some"]

WARNING = "the original record follows: it holds personal data"


async def show_all(settings: Settings, choice: Choice, as_json: bool) -> None:
    letters = choice.of(await open_letters(settings.kafka))
    groups = grouped(letters)
    if as_json:
        click.echo(msgspec.json.encode([group.told() for group in groups]))
    elif not groups:
        click.echo("there are no open dead letters")
    else:
        for group in groups:
            _print(group)
        click.echo(f"{len(letters):,} open; to see one: `streamer dead-letters show {letters[-1].place}`")


def _print(group: Group) -> None:
    first, last = group.letters[0], group.letters[-1]
    number = len(group.letters)
    times = first.time if first.time == last.time else f"{first.time} to {last.time}"
    click.echo(f"{group.reason}  {group.topic}  {number:,} {'letter' if number == 1 else 'letters'}, {times}")
    click.echo(f"    {last.place}  {last.error}")


async def show(settings: Settings, choice: Choice, with_original: bool) -> int:
    """Print a letter. Return the exit code: 1 if the original is requested and gone."""
    (letter,) = choice.of(await open_letters(settings.kafka))
    for name, value in _headers(letter).items():
        click.echo(f"{name:<9} {value}")
    click.echo(_pretty(letter.shown))
    if not with_original:
        return 0
    found = await originals(settings.kafka, [letter])
    if letter.place not in found:
        click.echo(f"{letter.place}: {GONE}", err=True)
        return 1
    click.echo(WARNING, err=True)
    click.echo(_pretty(msgspec.json.encode(_original(found[letter.place]))))
    return 0


def _headers(letter: Letter) -> dict[str, object]:
    told: dict[str, object] = {
        "record": str(letter.place),
        "at": letter.time,
        "reason": letter.reason,
        "error": letter.error,
    }
    told |= {} if letter.size is None else {"bytes": str(letter.size)}
    return told | ({} if letter.customer is None else {"customer": letter.customer})


def _pretty(value: bytes) -> str:
    try:
        return msgspec.json.format(value, indent=2).decode()
    except (msgspec.DecodeError, RecursionError):
        return value.decode(errors="replace")


async def retry(settings: Settings, choice: Choice, sets: Sequence[str], force: bool, dry_run: bool) -> int:
    """Send rejected records again, edited by `sets` (FIELD=JSON each), and close their letters.

    Return the exit code: 1 if any of the letters stays open.
    """
    changes = [change(text) for text in sets]
    letters = choice.of(await open_letters(settings.kafka))
    found = await originals(settings.kafka, letters) if letters else {}
    decided = list(fates(letters, found, changes, force, settings))
    if not dry_run and any(fate.record is not None for fate in decided):
        async with post(settings.kafka) as to:
            await carry_out(decided, to)
    return _told(decided, dry_run, changes)


def _told(decided: Sequence[Fate], dry_run: bool, changes: Changes) -> int:
    sent = "would be sent again" if dry_run else "sent again"
    for fate in decided:
        did = f"{sent}, {fate.why}" if fate.record is not None and dry_run else sent
        click.echo(f"{fate.letter.place}  {did if fate.record is not None else f'not sent: {fate.why}'}")
    left = [fate for fate in decided if fate.record is None]
    click.echo(f"{len(decided) - len(left):,} {sent}, {len(left):,} not sent")
    if any(fate.why.startswith("would be rejected") for fate in left):
        remedy = "set other values" if changes else "correct them with --set FIELD=JSON, change the setting"
        click.echo(
            f"Records that would be rejected again are not sent: {remedy}, or send them anyway with --force"
        )
    return 1 if left else 0


async def close(settings: Settings, choice: Choice) -> None:
    letters = choice.of(await open_letters(settings.kafka))
    click.echo(f"{await _close(settings, letters):,} closed; their records were not sent again")


async def erase(settings: Settings, is_of: Callable[[str], bool]) -> int:
    """Close the letters of a customer, by their pseudonym, and return how many there were.

    Kafka drops their content when it compacts the topic. Raise KafkaError if Kafka cannot be reached.
    """
    letters = await open_letters(settings.kafka)
    return await _close(
        settings, [one for one in letters if one.customer is not None and is_of(one.customer)]
    )


async def _close(settings: Settings, letters: Sequence[Letter]) -> int:
    if letters:
        async with post(settings.kafka) as to:
            await to.close(letters)
    return len(letters)


async def export(settings: Settings, choice: Choice, path: str, with_originals: bool) -> None:
    letters = choice.of(await open_letters(settings.kafka))
    found = await originals(settings.kafka, letters) if with_originals and letters else {}
    if with_originals:
        click.echo(WARNING.replace("record follows: it holds", "records are written: they hold"), err=True)
    with nullcontext(sys.stdout.buffer) if path == "-" else _private(path) as file:
        file.writelines(_lines(letters, found, with_originals))
        file.flush()
    click.echo(f"{len(letters):,} letters", err=True)


def _private(path: str) -> IO[bytes]:
    """Open a file for writing that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _lines(letters: Iterable[Letter], found: Mapping[Place, Record], with_originals: bool) -> Iterable[bytes]:
    for letter in letters:
        told: dict[str, Any] = {
            **letter.place._asdict(),
            **_headers(letter),
            "letter": _value(letter.shown),
        }
        if with_originals:
            told["original"] = _original(found[letter.place]) if letter.place in found else None
        yield msgspec.json.encode(told) + b"\n"


def _original(record: Record) -> dict[str, Any]:
    return {
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": _value(record.value),
    }


def _value(value: bytes | None) -> Any:
    """Return JSON on one line as it is, anything else as text."""
    try:
        return msgspec.Raw(msgspec.json.format(value or b"", indent=-1))
    except (msgspec.DecodeError, RecursionError):
        return _text(value)


def _text(value: bytes | None) -> str | None:
    """Return the value as text, or as base64 if it is not UTF-8.

    >>> _text(b"key"), _text(b"\\xff")
    ('key', 'base64:/w==')
    """
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
