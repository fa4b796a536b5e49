"""Here is how far a file is replayed: kept beside it, so that the same command goes on after an
interruption."""

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
    """All of the first `entries` are sent and acknowledged, or rejected. `file` and `options` tell which
    file it is of, and what was asked for: another file or another map would go on with other entries."""

    file: str
    options: str
    shift_ms: int = 0
    entries: int = 0
    done: bool = False
    account: Account = msgspec.field(default_factory=Account)


class Keeper:
    """Keeps the position of one file; nothing of standard input, nor where nothing is `kept`."""

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
        """Where to go on: at the beginning, or where an earlier command was interrupted. Raises
        WrongUseError where that was another one."""
        here = Position(_identity(self._source), self._options)
        if self._path is None or restart or not self._path.exists():
            return here
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Position)
        except (OSError, msgspec.DecodeError):
            raise self._other("it cannot be read") from None
        if found.file != here.file:
            raise self._other(f"{self._source.name} is not the file that was interrupted")
        if found.options != here.options:
            raise self._other("the command was interrupted with other options or another map")
        return found

    def save(self, position: Position) -> None:
        """Whole or not at all. Raises WrongUseError where it cannot be written."""
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_bytes(msgspec.json.encode(position))
            os.replace(beside, self._path)
        except OSError as error:
            raise WrongUseError(
                f"{self._path}: {error.strerror or error}, so the position cannot be kept; "
                "name a folder by --state"
            ) from None

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _other(self, what: str) -> WrongUseError:
        return WrongUseError(f"{self._path}: {what}; --restart begins anew (what was sent counts once)")


def _identity(source: Input) -> str:
    """Size and head."""
    if source.is_stdin:
        return ""
    try:
        with Path(source.path).open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD)).hexdigest()
            return f"{os.fstat(file.fileno()).st_size}:{head}"
    except OSError as error:
        raise WrongUseError(f"{source.path}: {error.strerror or error}, expected a file to read") from None
