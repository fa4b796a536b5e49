"""Show the progress of a file on the terminal, with the rate and the time left."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from streamer.replay.file_rows import FileRows


class ProgressBar:
    """Progress bar of one file. Hidden if standard error is not a terminal."""

    def __init__(self, console: Console, file_name: str, activity: str) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[events]:,} events, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task(
            f"{activity} {file_name}", total=None, events=0, rate=0.0
        )
        self._began_s = time.monotonic()

    def show(self, rows: FileRows, events: int) -> None:
        """Update the bar. `events`: sent since it was made."""
        elapsed_s = time.monotonic() - self._began_s
        events_per_s = events / elapsed_s if elapsed_s > 0 else 0.0
        self._progress.update(
            self._task, total=rows.total, completed=rows.completed(), events=events, rate=events_per_s
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
