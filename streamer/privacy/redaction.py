"""Redact personal data in comments: cards, accounts, e-mail addresses, phone numbers, national ids.

They are found in a plain form of the text: digits of every script are 0 to 9, letters are upper case, and
all dashes are one. The rest of the text stays as it was written. A doubtful long number is removed: people
read a comment for its words.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from streamer.privacy.national_ids import FEWEST_DIGITS, luhn, national_id_spans
from streamer.privacy.phone_numbers import (
    domestic_number_spans,
    international_number_spans,
    labelled_number_spans,
)

Span = tuple[int, int]

_UPPERCASE: Final = {small: small - 32 for small in range(ord("a"), ord("z") + 1)}
_CARD_LENGTHS: Final = range(13, 20)
"""Possible numbers of digits of a card (ISO/IEC 7812)."""
_DATE: Final = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}([-/.])[01]?[0-9]\1[0-3]?[0-9]"
    r"|[0-3]?[0-9]([-/.])[0-3]?[0-9]\2(?:19|20)?[0-9]{2})(?![0-9]|[-/.][0-9])"
)
_LETTER: Final = r"[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""Sign of a script with spaces between words. In other scripts an address has no visible beginning."""
_AT: Final = r"(?:@| ?[(\[] ?(?:AT|ÄT|AROBASE|ARROBA|CHIOCCIOLA) ?[)\]] ?)"
_DOT: Final = r"(?:\.| ?[(\[] ?(?:DOT|PUNKT|POINT|PUNTO) ?[)\]] ?)"
_EMAILS: Final = (
    rf"{_LETTER}(?:{_LETTER}|[.+%'-]){{0,63}}{_AT}{_LETTER}(?:{_LETTER}|-){{0,62}}"
    rf"(?:{_DOT}{_LETTER}(?:{_LETTER}|-){{0,62}}){{1,8}}",
    rf"[\w.+-]{{1,64}}{_AT}\w[\w-]{{0,62}}(?:{_DOT}\w[\w-]{{0,62}}){{1,8}}",
    rf"{_LETTER}(?:{_LETTER}|[.+%'-]){{0,63}}@[^\W\d]{_LETTER}{{2,62}}",
)
_SPOKEN_AT: Final = re.compile(_AT)
_EMAIL_PATTERNS: Final = tuple(map(re.compile, _EMAILS))
_IBAN: Final = re.compile(r"(?<![0-9A-Z])(?=([A-Z]{2}[0-9]{2}(?:[ -]?[0-9A-Z]){11,29}))")
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


class _PlainText(NamedTuple):
    """A text in plain form, and the position in the original text of each of its characters."""

    text: str
    positions: Sequence[int]


LONGEST_COMMENT: Final = 4_000
"""Most characters kept. A longer text is no comment, and takes long to search."""


def redact_comment(comment: str) -> str:
    """Cut a comment to LONGEST_COMMENT characters, between words, and redact it."""
    if len(comment) > LONGEST_COMMENT:
        head = comment[:LONGEST_COMMENT]
        comment = head[: head.rfind(" ")] if " " in head else head
    return redact_text(comment)


def redact_text(text: str) -> str:
    """Replace personal data by [card], [iban], [email], [id] or [phone].

    >>> redact_text("Rude! Call me on +34 600 123 456 or ann@example.org, order 12345")
    'Rude! Call me on [phone] or [email], order 12345'
    """
    plain = _plain_text(text)
    if not _may_be_personal(plain.text):
        return text
    covered, redactions = bytearray(len(plain.text)), []
    for label, finder in _FINDERS:
        for start, end in finder(plain.text):
            if covered.find(1, start, end) < 0:
                covered[start:end] = bytes([1]) * (end - start)
                redactions.append((plain.positions[start], plain.positions[end - 1] + 1, label))
    return _replace_spans(text, sorted(redactions))


def _replace_spans(text: str, redactions: Sequence[tuple[int, int, str]]) -> str:
    pieces, copied_to = [], 0
    for start, end, label in redactions:
        pieces += [text[copied_to:start], f"[{label}]" if label else text[start:end]]
        copied_to = end
    return "".join([*pieces, text[copied_to:]])


def _may_be_personal(text: str) -> bool:
    if "@" in text or sum(map(text.count, "0123456789")) >= FEWEST_DIGITS:
        return True
    return ("(" in text or "[" in text) and _SPOKEN_AT.search(text) is not None


def _plain_text(text: str) -> _PlainText:
    if text.isascii():
        return _PlainText(text.translate(_UPPERCASE), range(len(text)))
    signs = [(sign, position) for position, character in enumerate(text) for sign in _plain_signs(character)]
    return _PlainText("".join(sign for sign, _ in signs), [position for _, position in signs])


def _plain_signs(character: str) -> str:
    """Return a character in plain form; an invisible one gives an empty text."""
    if character.isascii():
        return character.translate(_UPPERCASE)
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.decimal(character))
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case "Cf":
            return ""
    return "-" if character == "\u2212" else unicodedata.normalize("NFKC", character).upper()


def _email_spans(text: str) -> Iterator[Span]:
    if _SPOKEN_AT.search(text) is None:
        return
    for pattern in _EMAIL_PATTERNS:
        for match in pattern.finditer(text):
            yield match.span()


def _iban_spans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[1][:2], 0)
        positions = [position for position in range(*match.span(1)) if text[position].isalnum()][:length]
        if length and len(positions) == length and _mod_97("".join(text[position] for position in positions)):
            yield match.start(1), positions[-1] + 1


def _mod_97(iban: str) -> bool:
    """Check the digits of an IBAN (ISO 13616)."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _card_spans(text: str) -> Iterator[Span]:
    """Yield the spans of adjoining groups of digits that together make a card number."""
    groups = [(match.start(), match.end(), match[0]) for match in re.finditer("[0-9]+", text)]
    for first, (start, end, number) in enumerate(groups):
        for next_start, next_end, group in (
            *groups[first + 1 : first + _CARD_LENGTHS.stop],
            (len(text) + 2, 0, ""),
        ):
            if len(number) in _CARD_LENGTHS and luhn(number) and len(set(number)) > 1:
                yield start, end
            if len(number) >= _CARD_LENGTHS.stop or next_start - end > 1 or text[end] not in " .-":
                break
            number, end = number + group, next_end


def _date_spans(text: str) -> Iterator[Span]:
    return (match.span() for match in _DATE.finditer(text))


_FINDERS: Final[Sequence[tuple[str, Callable[[str], Iterable[Span]]]]] = (
    ("email", _email_spans),
    ("iban", _iban_spans),
    ("phone", international_number_spans),
    ("card", _card_spans),
    ("phone", labelled_number_spans),
    ("id", national_id_spans),
    ("", _date_spans),  # a date and a time together look like a phone number
    ("phone", domestic_number_spans),
)
"""The finders by label, in order: the first one to find a span labels it. "" leaves the text as it is."""
