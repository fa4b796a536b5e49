"""Read the command line of `streamer replay` and run it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamer.readings.times import milliseconds
from streamer.replay.entries import How
from streamer.replay.guess import run_guess
from streamer.replay.run import Asked, run_replay
from streamer.settings import Settings, SettingsError
from streamer.worker.engine import wall_clock_ms


def run_command(
    settings: Callable[[], Settings], files: Sequence[str], guess: bool, options: Mapping[str, Any]
) -> int:
    """Run the command and return its exit code. Raises SettingsError and QueryError for invalid options."""
    if guess:
        return run_guess(files, options["form"])
    how = How(options["form"], options["format_"], options["map_"], options["topic"])
    to = options["shift_to"]
    asked = Asked(
        files=files,
        how=how,
        speed=_speed(options["speed"]),
        shift_to=to,
        shift_to_ms=None if to is None else _time(to),
        dry_run=options["dry_run"],
        state=options["state"],
        restart=options["restart"],
    )
    return run_replay(settings(), asked)


def _time(text: str) -> int:
    return wall_clock_ms() if text == "now" else milliseconds("--shift-to", text)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (speed > 0 and math.isfinite(speed)):
        raise SettingsError(f"--speed = {text!r}: expected a number above 0 such as 1 or 60, or max")
    return speed
