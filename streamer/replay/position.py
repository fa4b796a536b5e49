"""Save how far a file is replayed, so that the same command continues after an interruption."""

import hashlib
import os
from pathlib import Path

import msgspec

from streamer.replay.input_files import InputFile
from streamer.replay.summary import ReplaySummary
from streamer.replay.usage_error import ReplayUsageError

POSITION_SUFFIX = ".replayed"
_HEAD_BYTES = 64 * 1024


class ReplayPosition(msgspec.Struct):
    """Position in a file: the first `entries` are sent and acknowledged, or rejected. `file` fingerprints the
    file and `options` the command: with another file or another map the entries would differ."""

    file: str
    options: str
    shift_ms: int = 0
    entries: int = 0
    done: bool = False
    account: ReplaySummary = msgspec.field(default_factory=ReplaySummary)


class PositionFile:
    """File that holds the position of one input. Saves nothing for standard input, nor if not `enabled`."""

    def __init__(self, source: InputFile, folder: str | None, options: str, enabled: bool = True) -> None:
        self._options = options
        self._source = source
        self._path: Path | None = None
        if enabled and not source.is_stdin:
            source_path = Path(source.path)
            self._path = (
                Path(folder) if folder else source_path.parent
            ) / f"{source_path.name}{POSITION_SUFFIX}"

    @property
    def is_enabled(self) -> bool:
        return self._path is not None

    def load(self, restart: bool) -> ReplayPosition:
        """Return the position to start from: the beginning, or where this command was interrupted. Raises
        ReplayUsageError if another command or file was interrupted."""
        new_position = ReplayPosition(_file_fingerprint(self._source), self._options)
        if self._path is None or restart or not self._path.exists():
            return new_position
        try:
            saved_position = msgspec.json.decode(self._path.read_bytes(), type=ReplayPosition)
        except (OSError, msgspec.DecodeError):
            raise self._resume_error("the saved position cannot be read") from None
        if saved_position.file != new_position.file:
            raise self._resume_error(f"{self._source.name} is not the file that was interrupted")
        if saved_position.options != new_position.options:
            raise self._resume_error("the interrupted command had other options or another map")
        return saved_position

    def save(self, position: ReplayPosition) -> None:
        """Write the position atomically. Raises ReplayUsageError if it cannot be written."""
        if self._path is None:
            return
        new_path = self._path.with_name(f"{self._path.name}.new")
        try:
            new_path.write_bytes(msgspec.json.encode(position))
            os.replace(new_path, self._path)
        except OSError as error:
            raise ReplayUsageError(
                f"{self._path}: {error.strerror or error}, so the position cannot be saved; "
                "name a folder by --state"
            ) from None

    def delete(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _resume_error(self, problem: str) -> ReplayUsageError:
        return ReplayUsageError(
            f"{self._path}: {problem}; --restart starts over (events sent twice count once)"
        )


def _file_fingerprint(source: InputFile) -> str:
    """Return the size and a hash of the first 64 KiB; "" for standard input."""
    if source.is_stdin:
        return ""
    try:
        with Path(source.path).open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
            return f"{os.fstat(file.fileno()).st_size}:{head}"
    except OSError as error:
        raise ReplayUsageError(f"{source.path}: {error.strerror or error}, expected a file to read") from None
