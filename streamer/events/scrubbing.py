"""Redact personal data in comments: cards, accounts, e-mail addresses, phone numbers, national ids.

They are found in a plain form of the text: digits of every script are 0 to 9, letters are upper case, and
all dashes are one. The rest of the text stays as it was written. A doubtful long number is removed: people
read a comment for its words.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from streamer.events.national_ids import FEWEST_DIGITS, luhn, national_ids
from streamer.events.phone_numbers import phone_numbers, phone_numbers_abroad, phone_numbers_behind_words

Span = tuple[int, int]

_LARGE: Final = {small: small - 32 for small in range(ord("a"), ord("z") + 1)}
_CARD: Final = range(13, 20)
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


class _Plain(NamedTuple):
    """A text in plain form, and the position in the original text of each of its characters."""

    text: str
    places: Sequence[int]


LONGEST_COMMENT: Final = 4_000
"""Most characters kept. A longer text is no comment, and takes long to search."""


def discreet(comment: str) -> str:
    """Cut a comment to LONGEST_COMMENT characters, between words, and redact it."""
    if len(comment) > LONGEST_COMMENT:
        head = comment[:LONGEST_COMMENT]
        comment = head[: head.rfind(" ")] if " " in head else head
    return scrubbed(comment)


def scrubbed(text: str) -> str:
    """Replace personal data by [card], [iban], [email], [id] or [phone].

    >>> scrubbed("Rude! Call me on +34 600 123 456 or ann@example.org, order 12345")
    'Rude! Call me on [phone] or [email], order 12345'
    """
    plain = _plain(text)
    if not _suspect(plain.text):
        return text
    taken, found = bytearray(len(plain.text)), []
    for label, finder in _FINDERS:
        for start, end in finder(plain.text):
            if taken.find(1, start, end) < 0:
                taken[start:end] = bytes([1]) * (end - start)
                found.append((plain.places[start], plain.places[end - 1] + 1, label))
    return _without(text, sorted(found))


def _without(text: str, found: Sequence[tuple[int, int, str]]) -> str:
    pieces, place = [], 0
    for start, end, label in found:
        pieces += [text[place:start], f"[{label}]" if label else text[start:end]]
        place = end
    return "".join([*pieces, text[place:]])


def _suspect(text: str) -> bool:
    if "@" in text or sum(map(text.count, "0123456789")) >= FEWEST_DIGITS:
        return True
    return ("(" in text or "[" in text) and _SPOKEN_AT.search(text) is not None


def _plain(text: str) -> _Plain:
    if text.isascii():
        return _Plain(text.translate(_LARGE), range(len(text)))
    signs = [(sign, place) for place, one in enumerate(text) for sign in _signs(one)]
    return _Plain("".join(sign for sign, _ in signs), [place for _, place in signs])


def _signs(one: str) -> str:
    """Return a character in plain form; an invisible one gives an empty text."""
    if one.isascii():
        return one.translate(_LARGE)
    match unicodedata.category(one):
        case "Nd":
            return str(unicodedata.decimal(one))
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case "Cf":
            return ""
    return "-" if one == "\u2212" else unicodedata.normalize("NFKC", one).upper()


def _emails(text: str) -> Iterator[Span]:
    if _SPOKEN_AT.search(text) is None:
        return
    for pattern in _EMAIL_PATTERNS:
        for match in pattern.finditer(text):
            yield match.span()


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[1][:2], 0)
        places = [place for place in range(*match.span(1)) if text[place].isalnum()][:length]
        if length and len(places) == length and _mod_97("".join(text[place] for place in places)):
            yield match.start(1), places[-1] + 1


def _mod_97(iban: str) -> bool:
    """Check the digits of an IBAN (ISO 13616)."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    """Yield the spans of adjoining groups of digits that together make a card number."""
    groups = [(match.start(), match.end(), match[0]) for match in re.finditer("[0-9]+", text)]
    for first, (start, end, number) in enumerate(groups):
        for later, after, group in (*groups[first + 1 : first + _CARD.stop], (len(text) + 2, 0, "")):
            if len(number) in _CARD and luhn(number) and len(set(number)) > 1:
                yield start, end
            if len(number) >= _CARD.stop or later - end > 1 or text[end] not in " .-":
                break
            number, end = number + group, after


def _dates(text: str) -> Iterator[Span]:
    return (match.span() for match in _DATE.finditer(text))


_FINDERS: Final[Sequence[tuple[str, Callable[[str], Iterable[Span]]]]] = (
    ("email", _emails),
    ("iban", _ibans),
    ("phone", phone_numbers_abroad),
    ("card", _cards),
    ("phone", phone_numbers_behind_words),
    ("id", national_ids),
    ("", _dates),  # a date and a time together look like a phone number
    ("phone", phone_numbers),
)
"""The finders by label, in order: the first one to find a span labels it. "" leaves the text as it is."""
