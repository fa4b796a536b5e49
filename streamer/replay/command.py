"""Read the command line of `streamer replay` and run it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamer.readings.query_times import parse_query_time_ms
from streamer.replay.file_reader import ReadOptions
from streamer.replay.map_inference import run_guess
from streamer.replay.run import ReplayOptions, run_replay
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings, SettingsError


def run_command(
    load_settings: Callable[[], Settings], files: Sequence[str], guess: bool, options: Mapping[str, Any]
) -> int:
    """Run the command and return its exit code. Raises SettingsError and QueryError for invalid options."""
    if guess:
        return run_guess(files, options["form"])
    read_options = ReadOptions(options["form"], options["format_"], options["map_"], options["topic"])
    shift_to = options["shift_to"]
    replay_options = ReplayOptions(
        files=files,
        read_options=read_options,
        speed=_parse_speed(options["speed"]),
        shift_to=shift_to,
        shift_to_ms=None if shift_to is None else _parse_shift_to(shift_to),
        dry_run=options["dry_run"],
        state_folder=options["state"],
        restart=options["restart"],
    )
    return run_replay(load_settings(), replay_options)


def _parse_shift_to(text: str) -> int:
    return wall_clock_ms() if text == "now" else parse_query_time_ms("--shift-to", text)


def _parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (speed > 0 and math.isfinite(speed)):
        raise SettingsError(f"--speed = {text!r}: expected a number above 0 such as 1 or 60, or max")
    return speed
