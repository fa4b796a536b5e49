"""Open the input: a path or standard input, gzip or not, counting the bytes read."""

import gzip
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Literal, NamedTuple, cast

from streamer.replay.usage import WrongUseError

Form = Literal["ndjson", "csv", "parquet", "lines"]

STDIN: Final = "-"
_IN_MEMORY = 64 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_FORMS: Final[dict[str, Form]] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class Opened(NamedTuple):
    """An open file. `content`: the bytes after gunzip. `raw`: the file itself, whose offset shows progress.
    `size`: its bytes; None for standard input."""

    content: IO[bytes]
    raw: IO[bytes]
    size: int | None

    def done(self) -> int:
        """Return the bytes of the file read so far; 0 for standard input."""
        return self.raw.tell() if self.size is not None else 0


class Input:
    """One FILE of the command line. Standard input can be opened once, and any number of times after
    `buffer_stdin`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._kept: IO[bytes] | None = None

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else Path(self.path).name

    @property
    def is_stdin(self) -> bool:
        return self.path == STDIN

    def keep(self) -> None:
        """Copy standard input to memory, or past 64 MiB to a temporary file that is deleted at the end."""
        if self.is_stdin and self._kept is None:
            kept = cast(IO[bytes], SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - lives as long as we do
            while block := sys.stdin.buffer.read(1 << 20):
                kept.write(block)
            self._kept = kept

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def form(self, said: Form | None) -> Form:
        """Return the given type, else the type by suffix or by the first bytes; NDJSON for standard input.
        Raises ReplayUsageError if neither shows it."""
        if said is not None:
            return said
        if self.is_stdin:
            return "ndjson"
        suffixes = [suffix.lower() for suffix in Path(self.path).suffixes if suffix.lower() != ".gz"]
        if suffixes and suffixes[-1] in _FORMS:
            return _FORMS[suffixes[-1]]
        with self.open() as opened:
            if opened.content.read(len(_PARQUET)) == _PARQUET:
                return "parquet"
        raise WrongUseError(f"{self.name}: unknown file type; add --as ndjson, csv or parquet")

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Open the file, unpacking gzip. Raises ReplayUsageError if it cannot be opened."""
        raw = self._raw()
        try:
            size = None if self.is_stdin else os.fstat(raw.fileno()).st_size
            if raw.peek(2)[:2] == _GZIP:
                unpacked = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), 1 << 18)
                yield Opened(unpacked, raw, size)
            else:
                yield Opened(raw, raw, size)
        finally:
            if not self.is_stdin:
                raw.close()

    def _raw(self) -> io.BufferedReader:
        if self._kept is not None:
            self._kept.seek(0)
            return io.BufferedReader(cast(io.RawIOBase, _Unclosed(self._kept)))
        if self.is_stdin:
            return io.BufferedReader(cast(io.RawIOBase, _Unclosed(sys.stdin.buffer)))
        try:
            return Path(self.path).open("rb")
        except OSError as error:
            raise WrongUseError(f"{self.path}: {error.strerror or error}, expected a file to read") from None


class _Unclosed(io.RawIOBase):
    """Raw stream that leaves the wrapped one open when the buffer around it is closed."""

    def __init__(self, kept: IO[bytes]) -> None:
        super().__init__()
        self._kept = kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        found = self._kept.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
