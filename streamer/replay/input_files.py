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

from streamer.replay.usage_error import ReplayUsageError

FileType = Literal["ndjson", "csv", "parquet", "lines"]

STDIN: Final = "-"
_MAX_IN_MEMORY_BYTES = 64 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_TYPE_BY_SUFFIX: Final[dict[str, FileType]] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class OpenedInput(NamedTuple):
    """An open file. `content`: the bytes after gunzip. `raw`: the file itself, whose offset shows progress.
    `size`: its bytes; None for standard input."""

    content: IO[bytes]
    raw: IO[bytes]
    size: int | None

    def bytes_read(self) -> int:
        """Return the bytes of the file read so far; 0 for standard input."""
        return self.raw.tell() if self.size is not None else 0


class InputFile:
    """One FILE of the command line. Standard input can be opened once, and any number of times after
    `buffer_stdin`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._buffer: IO[bytes] | None = None

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else Path(self.path).name

    @property
    def is_stdin(self) -> bool:
        return self.path == STDIN

    def buffer_stdin(self) -> None:
        """Copy standard input to memory, or past 64 MiB to a temporary file that is deleted at the end."""
        if self.is_stdin and self._buffer is None:
            buffer = cast(IO[bytes], SpooledTemporaryFile(_MAX_IN_MEMORY_BYTES))  # noqa: SIM115 - lives as long as we do
            while block := sys.stdin.buffer.read(1 << 20):
                buffer.write(block)
            self._buffer = buffer

    def close(self) -> None:
        if self._buffer is not None:
            self._buffer.close()

    def detect_type(self, file_type: FileType | None) -> FileType:
        """Return the given type, else the type by suffix or by the first bytes; NDJSON for standard input.
        Raises ReplayUsageError if neither shows it."""
        if file_type is not None:
            return file_type
        if self.is_stdin:
            return "ndjson"
        suffixes = [suffix.lower() for suffix in Path(self.path).suffixes if suffix.lower() != ".gz"]
        if suffixes and suffixes[-1] in _TYPE_BY_SUFFIX:
            return _TYPE_BY_SUFFIX[suffixes[-1]]
        with self.open() as opened:
            if opened.content.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC:
                return "parquet"
        raise ReplayUsageError(f"{self.name}: unknown file type; add --as ndjson, csv or parquet")

    @contextmanager
    def open(self) -> Iterator[OpenedInput]:
        """Open the file, unpacking gzip. Raises ReplayUsageError if it cannot be opened."""
        raw = self._open_raw()
        try:
            size = None if self.is_stdin else os.fstat(raw.fileno()).st_size
            if raw.peek(2)[:2] == _GZIP_MAGIC:
                unpacked = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), 1 << 18)
                yield OpenedInput(unpacked, raw, size)
            else:
                yield OpenedInput(raw, raw, size)
        finally:
            if not self.is_stdin:
                raw.close()

    def _open_raw(self) -> io.BufferedReader:
        if self._buffer is not None:
            self._buffer.seek(0)
            return io.BufferedReader(cast(io.RawIOBase, _NonClosingReader(self._buffer)))
        if self.is_stdin:
            return io.BufferedReader(cast(io.RawIOBase, _NonClosingReader(sys.stdin.buffer)))
        try:
            return Path(self.path).open("rb")
        except OSError as error:
            raise ReplayUsageError(
                f"{self.path}: {error.strerror or error}, expected a file to read"
            ) from None


class _NonClosingReader(io.RawIOBase):
    """Raw stream that leaves the wrapped one open when the buffer around it is closed."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
