"""Here is how a file is opened: a path or standard input, gzip or not, and how far it is read."""

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
    """`content` is what is read, gzip undone; `raw` the file itself, to see how far it is read."""

    content: IO[bytes]
    raw: IO[bytes]
    size: int | None

    def done(self) -> int:
        """Bytes of the file that are read."""
        return self.raw.tell() if self.size is not None else 0


class Input:
    """One FILE of the command line. Standard input can be opened once, after `keep` again and again."""

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
        """Standard input is put aside, in memory or, where it is large, in a file that is gone at the end."""
        if self.is_stdin and self._kept is None:
            kept = cast(IO[bytes], SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - lives as long as we do
            while block := sys.stdin.buffer.read(1 << 20):
                kept.write(block)
            self._kept = kept

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def form(self, said: Form | None) -> Form:
        """As said, else by the name's end or the first bytes. Raises WrongUseError."""
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
        raise WrongUseError(f"{self.name}: its name does not say what it is; add --as ndjson, csv or parquet")

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Raises WrongUseError where there is no such file."""
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
    """What is not ours to close, read through a buffer that is thrown away."""

    def __init__(self, kept: IO[bytes]) -> None:
        super().__init__()
        self._kept = kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        found = self._kept.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
