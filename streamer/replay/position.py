"""Save how far a file is replayed, so that the same command continues after an interruption."""

import hashlib
import os
from pathlib import Path

import msgspec

from streamer.replay.account import Account
from streamer.replay.files import Input
from streamer.replay.usage import WrongUseError

SUFFIX = ".replayed"
_HEAD = 64 * 1024


class Position(msgspec.Struct):
    """Position in a file: the first `entries` are sent and acknowledged, or rejected. `file` fingerprints the
    file and `options` the command: with another file or another map the entries would differ."""

    file: str
    options: str
    shift_ms: int = 0
    entries: int = 0
    done: bool = False
    account: Account = msgspec.field(default_factory=Account)


class Keeper:
    """File that holds the position of one input. Saves nothing for standard input, nor if not `enabled`."""

    def __init__(self, source: Input, folder: str | None, options: str, kept: bool = True) -> None:
        self._options = options
        self._source = source
        self._path: Path | None = None
        if kept and not source.is_stdin:
            beside = Path(source.path)
            self._path = (Path(folder) if folder else beside.parent) / f"{beside.name}{SUFFIX}"

    @property
    def keeps(self) -> bool:
        return self._path is not None

    def begin(self, restart: bool) -> Position:
        """Return the position to start from: the beginning, or where this command was interrupted. Raises
        ReplayUsageError if another command or file was interrupted."""
        here = Position(_identity(self._source), self._options)
        if self._path is None or restart or not self._path.exists():
            return here
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Position)
        except (OSError, msgspec.DecodeError):
            raise self._other("the saved position cannot be read") from None
        if found.file != here.file:
            raise self._other(f"{self._source.name} is not the file that was interrupted")
        if found.options != here.options:
            raise self._other("the interrupted command had other options or another map")
        return found

    def save(self, position: Position) -> None:
        """Write the position atomically. Raises ReplayUsageError if it cannot be written."""
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_bytes(msgspec.json.encode(position))
            os.replace(beside, self._path)
        except OSError as error:
            raise WrongUseError(
                f"{self._path}: {error.strerror or error}, so the position cannot be saved; "
                "name a folder by --state"
            ) from None

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _other(self, what: str) -> WrongUseError:
        return WrongUseError(f"{self._path}: {what}; --restart starts over (events sent twice count once)")


def _identity(source: Input) -> str:
    """Return the size and a hash of the first 64 KiB; "" for standard input."""
    if source.is_stdin:
        return ""
    try:
        with Path(source.path).open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD)).hexdigest()
            return f"{os.fstat(file.fileno()).st_size}:{head}"
    except OSError as error:
        raise WrongUseError(f"{source.path}: {error.strerror or error}, expected a file to read") from None
