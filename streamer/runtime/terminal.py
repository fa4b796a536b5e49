"""Keep control signs of names and errors from the terminal that they are printed on."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, TextIO, cast

_HARMFUL: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # all but tab and line feed
)
_HARMFUL_SIGN: Final = re.compile(_HARMFUL)
_OWN_SEQUENCE: Final = r"\r\n|\x1b\[[0-9;]*m|\r?(?:\x1b\[(?:2K|[0-9]*A|\?25[hl]))+"
"""Colours, and the movements of rich's progress bars."""
_SEQUENCE_OR_SIGN: Final = re.compile(f"({_OWN_SEQUENCE})|{_HARMFUL}")
_HARMFUL_BYTES: Final = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)


def visible_text(text: str) -> str:
    """Return a text whose control signs are shown as escapes of JSON; line feeds and tabs stay.

    >>> print(visible_text("Bill\\x9b2Jing\\u202e"))
    Bill\\u009b2Jing\\u202e
    """
    return _HARMFUL_SIGN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class TerminalStream:
    """Text stream that shows control signs as escapes, but for the colours and progress bars of rich.

    Text that may hold such a sequence itself goes through `visible_text` first. Bytes, which hold JSON, are
    escaped for a terminal alone: in JSON the escape is the same text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_SEQUENCE_OR_SIGN.sub(_escape_harmful, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        buffer = self._stream.buffer
        return _TerminalBuffer(buffer) if self._stream.isatty() else buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _TerminalBuffer:
    def __init__(self, buffer: IO[bytes]) -> None:
        self._buffer = buffer

    def write(self, data: bytes) -> int:
        self._buffer.write(_HARMFUL_BYTES.sub(_escape_harmful_bytes, data))
        return len(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._buffer, name)


@contextmanager
def terminal_streams() -> Iterator[None]:
    """Let standard output and standard error show control signs as escapes."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, TerminalStream(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _escape_harmful(match: re.Match[str]) -> str:
    return match[1] or f"\\u{ord(match[0]):04x}"


def _escape_harmful_bytes(match: re.Match[bytes]) -> bytes:
    return f"\\u{ord(match[0].decode()):04x}".encode()
