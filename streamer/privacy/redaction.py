"""Redact personal data in comments: cards, accounts, e-mail addresses, phone numbers, national ids.

They are found in a plain form of the text: digits of every script are 0 to 9, letters are upper case, all
dashes are one, line ends and tabs are blanks, and what cannot be seen is left out. The rest of the text
stays as it was written. A doubtful long number is removed: people read a comment for its words.

The work grows with the length of the text, whatever is in it: a text with more digits than anybody writes in
an answer is not looked at number by number, all longer numbers in it go.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from streamer.privacy.bank_numbers import card_spans, iban_spans
from streamer.privacy.email_addresses import email_spans, may_hold_address
from streamer.privacy.national_ids import (
    FEWEST_DIGITS,
    Span,
    count_digits,
    national_id_spans,
    number_runs,
)
from streamer.privacy.phone_numbers import (
    domestic_number_spans,
    international_number_spans,
    labelled_number_spans,
)

MOST_DIGITS: Final = 150
"""Digits in a text up to which each number is looked at: a card, an account, two phone numbers and ten dates
have 130. Longer numbers of a text with more of them are all removed."""
LONGEST_COMMENT: Final = 4_000
"""Most characters kept. A longer text is no comment, and takes long to search."""
_BLANKS: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
_ASCII_SIGNS: Final = {code: " " if chr(code) in _BLANKS else chr(code).upper() for code in range(128)}
_ASCII_TEXT: Final = re.compile(r"[\t-\r\x1c-\x7e]*")
_LONGEST_SIGNS: Final = 4
"""Most signs that one character stands for. Longer ones are whole Arabic phrases."""
_LETTER_O: Final = re.compile(r"(?<![0-9A-Z])O(?=[0-9])")
_DATE: Final = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}([-/.])[01]?[0-9]\1[0-3]?[0-9]"
    r"|[0-3]?[0-9]([-/.])[0-3]?[0-9]\2(?:19|20)?[0-9]{2})(?![0-9]|[-/.][0-9])"
)
_ANY_NUMBER: Final = re.compile(r"[0-9](?:[\W_]{0,3}[A-Z]?[0-9]){3,}")


class _PlainText(NamedTuple):
    """A text in plain form, and the position in the original text of each of its characters."""

    text: str
    positions: Sequence[int]

    def original_span(self, start: int, end: int, length: int) -> Span:
        """Return the span in the original text of this length, with what cannot be seen behind it."""
        next_position = self.positions[end] if end < len(self.positions) else length
        return self.positions[start], max(self.positions[end - 1] + 1, next_position)


def redact_comment(comment: str) -> str:
    """Cut a comment to LONGEST_COMMENT characters, between words, and redact it."""
    if len(comment) > LONGEST_COMMENT:
        head = comment[:LONGEST_COMMENT]
        comment = head[: head.rfind(" ")] if " " in head else head
    return redact_text(comment)


def redact_text(text: str) -> str:
    """Replace personal data by [card], [iban], [email], [id] or [phone], by [number] among many numbers.

    >>> redact_text("Rude! Call me on +34 600 123 456 or ann@example.org, order 12345")
    'Rude! Call me on [phone] or [email], order 12345'
    """
    plain = _plain_text(text)
    digit_count = count_digits(plain.text)
    if digit_count < FEWEST_DIGITS and not may_hold_address(plain.text):
        return text
    covered, redactions = bytearray(len(plain.text)), []
    for label, spans in _found_spans(plain.text, digit_count):
        for start, end in spans:
            if covered.find(1, start, end) < 0:
                covered[start:end] = bytes([1]) * (end - start)
                redactions.append((*plain.original_span(start, end, len(text)), label))
    return _replace_spans(text, sorted(redactions))


def _found_spans(text: str, digit_count: int) -> Iterator[tuple[str, Iterable[Span]]]:
    """Yield labels and what they are for, in order: the first one to find a span labels it.

    "" leaves the text as it is.
    """
    yield "email", email_spans(text)
    if digit_count < FEWEST_DIGITS:
        return
    if digit_count > MOST_DIGITS:
        yield "number", _pattern_spans(_ANY_NUMBER, text)
        return
    runs = number_runs(text)
    yield "iban", iban_spans(text)
    yield "phone", international_number_spans(text)
    yield "card", card_spans(text)
    yield "phone", labelled_number_spans(text, runs)
    yield "id", national_id_spans(text, runs)
    yield "", _pattern_spans(_DATE, text)  # a date and a time together look like a phone number
    yield "phone", domestic_number_spans(text, runs)


def _pattern_spans(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))


def _replace_spans(text: str, redactions: Sequence[tuple[int, int, str]]) -> str:
    pieces, copied_to = [], 0
    for start, end, label in redactions:
        pieces += [text[copied_to:start], f"[{label}]" if label else text[start:end]]
        copied_to = end
    return "".join([*pieces, text[copied_to:]])


def _plain_text(text: str) -> _PlainText:
    if _ASCII_TEXT.fullmatch(text):
        return _PlainText(_LETTER_O.sub("0", text.translate(_ASCII_SIGNS)), range(len(text)))
    signs = [_plain_signs(character) for character in text]
    plain = _LETTER_O.sub("0", "".join(signs))
    if len(plain) == len(text) and all(signs):
        return _PlainText(plain, range(len(text)))
    return _PlainText(plain, [position for position, sign in enumerate(signs) for _ in sign])


@lru_cache(maxsize=8_192)
def _plain_signs(character: str) -> str:
    """Return a character in plain form; one that cannot be seen, or sits on another, gives an empty text."""
    if character in _BLANKS:
        return " "
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.decimal(character))
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case "Cc" | "Cf" | "Mn" | "Me":
            return ""
    if character == "\u2212":
        return "-"
    signs = unicodedata.normalize("NFKC", character).upper()
    return signs if len(signs) <= _LONGEST_SIGNS else "?"
