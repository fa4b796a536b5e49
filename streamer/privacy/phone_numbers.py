"""Find phone numbers in texts: international, domestic, or after a word such as "phone".

Texts are in the plain form of `redaction`. Shapes are as in `national_ids`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from streamer.privacy.national_ids import SEPARATOR, ShapeSearch, Span

_SHAPES: Final = (
    "0[1-9]_dd_dd_dd_dd",  # France
    "0[1-9]d{7,10}",
    r"\(?0[1-9]d{0,3}\)?(?: / |=)d{2,8}(?:=d{2,8}){0,3}",  # after the trunk prefix 0
    "0=[1-9](?:=d){8,9}",  # digit by digit
    "[4-9]dd_ddd_ddd",  # Spain, Portugal, Poland
    "[6-9]dd=dd=dd=dd",
    "[2-9]d=ddd=dd=dd",  # Spain, Switzerland
    r"(?:1_)?\(?[2-9]dd\)?_[2-9]dd_dddd",  # North America
    "1[3-9]d_dddd_dddd",  # China
    "[6-9]dddd_ddddd",  # India
    r"\(?[1-9][1-9]\)?_9_dddd_dddd",  # Brazil
    r"\([1-9][1-9]\)_dddd_dddd",
    r"[78]_\(?[3489]dd\)?_ddd_dd_dd",  # Russia
    "[1-9]d=dddd=dddd",  # Mexico
    "[2-9]d dd dd dd",  # Denmark, Norway
)
_SEARCH: Final = ShapeSearch(_SHAPES)
_LISTED_PAIRS: Final = re.compile(r"(?<![0-9])0[1-9]([,:;]) ?[0-9]{2}(?:\1 ?[0-9]{2}){3}(?![0-9])")
"""A French number parted by signs that part lists and times elsewhere."""
_UNIT_SUFFIX: Final = re.compile(r" ?(?:[%€$£¥₹]|(?:EUROS?|EUR|USD|GBP|KM|KG|POINTS?)\b)")
_INTERNATIONAL: Final = re.compile(
    rf"(?:\+|(?<![0-9])00) ?(?P<digits>[1-9][0-9]*\)?(?:{SEPARATOR}{{0,3}}\(?[0-9]+\)?){{0,15}})"
)
_MIN_INTERNATIONAL_DIGITS: Final = 8
_MAX_INTERNATIONAL_DIGITS: Final = 13
_MAX_DIGITS_BY_COUNTRY: Final = {
    "1": 11, "7": 11, "20": 12, "27": 11, "30": 12, "31": 11, "32": 11, "33": 11, "34": 11, "36": 11,
    "39": 12, "40": 11, "41": 11, "44": 12, "45": 10, "46": 11, "47": 10, "48": 11, "49": 13, "51": 11,
    "52": 12, "54": 13, "55": 13, "56": 11, "57": 12, "60": 12, "61": 11, "62": 14, "63": 12, "64": 12,
    "65": 10, "66": 11, "81": 12, "82": 12, "84": 11, "86": 13, "90": 12, "91": 12, "212": 12,
    "213": 12, "216": 11, "351": 12, "352": 12, "353": 12, "358": 13, "380": 12, "420": 12, "421": 12,
    "852": 11, "886": 12, "966": 12, "971": 12, "972": 12,
}  # fmt: skip
"""Most digits of a number by country code, the code included. Digits after them belong to another number."""

_PHONE_WORDS: Final = (
    "TEL TÉL TELEFON TÉLÉPHONE TELEPHONE TELEFONO TELÉFONO TELEFONE PHONE MOBILE MÓVIL MOVIL "
    "MOBIL CELL CELULAR CELLULARE PORTABLE HANDY WHATSAPP FAX CALL ТЕЛ ТЕЛЕФОН "
    "电话 電話 手机 手機 携帯 전화 هاتف जوال फोन"
)
_LINK_WORDS: Final = (
    "IS EST ES E È IST NUMBER NUMÉRO NUMERO NÚMERO NUMMER NR NO N° AU AL ON AT ME MY MI 是 号码 は"
)
_AFTER_PHONE_WORD: Final = re.compile(
    rf"(?<![A-Z])(?:{'|'.join(_PHONE_WORDS.split())})"
    rf"(?:[ .:=#(]|(?:{'|'.join(_LINK_WORDS.split())})(?![A-Z]))*$"
)
_MAX_PREFIX_CHARACTERS: Final = 30
_DIGITS: Final = re.compile(r"[0-9](?:[ .\-/_*|()]{0,3}[0-9]){5,12}(?![0-9])")


def international_number_spans(text: str) -> Iterator[Span]:
    """Yield the spans of numbers with a country code.

    >>> text = "CALL +34 600 123 456"
    >>> [text[start:end] for start, end in international_number_spans(text)]
    ['+34 600 123 456']
    """
    for match in _INTERNATIONAL.finditer(text):
        if end := _longest_end(match):
            yield match.start(), end


def labelled_number_spans(text: str, runs: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans of numbers that follow a word such as "phone"."""
    for start, end in runs:
        for match in _DIGITS.finditer(text, start, end):
            if _AFTER_PHONE_WORD.search(text[max(0, match.start() - _MAX_PREFIX_CHARACTERS) : match.start()]):
                yield match.span()


def domestic_number_spans(text: str, runs: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans of all other phone numbers. Spans may overlap; the more common shapes come first."""
    for start, end in runs:
        for _, match in _SEARCH.matches(text, start, end):
            if _is_domestic(match[0]) and not _UNIT_SUFFIX.match(text, match.end()):
                yield match.span()
    yield from (match.span() for match in _LISTED_PAIRS.finditer(text))


def _longest_end(match: re.Match[str]) -> int | None:
    """Return the end of the longest run of digit groups that a number of that country may have, or None."""
    start = match.start("digits")
    number = "".join(filter(str.isdigit, match["digits"]))
    country_codes = (number[:length] for length in (1, 2, 3) if number[:length] in _MAX_DIGITS_BY_COUNTRY)
    max_digits = _MAX_DIGITS_BY_COUNTRY.get(next(country_codes, ""), _MAX_INTERNATIONAL_DIGITS) + match[
        "digits"
    ].count("(0)")
    end, digit_count = None, 0
    for group in re.finditer("[0-9]+", match["digits"]):
        digit_count += len(group[0])
        if _MIN_INTERNATIONAL_DIGITS <= digit_count <= max_digits:
            end = start + group.end()
    return end


def _is_domestic(number_text: str) -> bool:
    number = "".join(filter(str.isdigit, number_text))
    return (9 if number[0] == "0" else 8) <= len(number) <= 12 and len(set(number)) > 1
