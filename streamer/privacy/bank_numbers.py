"""Find numbers of payment cards and bank accounts in texts, by their lengths and check digits.

Texts are in the plain form of `redaction`.
"""

import re
from collections.abc import Iterator
from typing import Final

from streamer.privacy.national_ids import Span, luhn

_CARD_LENGTHS: Final = range(13, 20)
"""Possible numbers of digits of a card (ISO/IEC 7812)."""
_DIGIT_GROUP: Final = re.compile("[0-9]+")
_GAP: Final = r"[\W_]{1,3}"
_CARD_BY_GROUPS: Final = re.compile(
    r"(?<![0-9])(?=("
    rf"(?:[3-6][0-9]{{3}}|2[2-7][0-9]{{2}}|8[0-9]{{3}}){_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{1,7}}"
    rf"|3[47][0-9]{{2}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{5}}"
    rf"|3[0689][0-9]{{2}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4}}"
    r"|[3-6]([^\w,;]|_)[0-9](?:\2[0-9]){14}"
    r")(?![0-9]))"
)
"""Digits in the groups that are printed on cards, whatever parts them, or one by one."""

_IBAN: Final = re.compile(
    r"(?<![0-9A-Z])(?=([A-Z]{2}[ ._:/-]{0,3}[0-9]{2}(?:[ ._:,*/|-]{0,3}[0-9A-Z]){11,29}))"
)
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


def card_spans(text: str) -> Iterator[Span]:
    """Yield the spans of card numbers: groups of digits parted by one sign, or grouped as cards are.

    >>> text = "CARD 41111111 11111111, OR 4111, 1111, 1111, 1111"
    >>> [text[start:end] for start, end in card_spans(text)]
    ['41111111 11111111', '4111, 1111, 1111, 1111']
    """
    yield from _adjoining_groups(text)
    for match in _CARD_BY_GROUPS.finditer(text):
        if _is_card("".join(filter(str.isdigit, match[1]))):
            yield match.span(1)


def _adjoining_groups(text: str) -> Iterator[Span]:
    groups = [(match.start(), match.end(), match[0]) for match in _DIGIT_GROUP.finditer(text)]
    for first, (start, end, number) in enumerate(groups):
        for next_start, next_end, group in (
            *groups[first + 1 : first + _CARD_LENGTHS.stop],
            (len(text) + 2, 0, ""),
        ):
            if _is_card(number):
                yield start, end
            if len(number) >= _CARD_LENGTHS.stop or next_start - end > 1 or text[end] not in " .-":
                break
            number, end = number + group, next_end


def _is_card(number: str) -> bool:
    return len(number) in _CARD_LENGTHS and len(set(number)) > 1 and luhn(number)


def iban_spans(text: str) -> Iterator[Span]:
    """Yield the spans of bank accounts (IBAN).

    >>> text = "TO DE89.3704.0044.0532.0130.00 PLEASE"
    >>> [text[start:end] for start, end in iban_spans(text)]
    ['DE89.3704.0044.0532.0130.00']
    """
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[1][:2])
        if length is None:
            continue
        positions = [position for position in range(*match.span(1)) if text[position].isalnum()][:length]
        if len(positions) == length and _is_iban("".join(text[position] for position in positions)):
            yield match.start(1), positions[-1] + 1


def _is_iban(account: str) -> bool:
    """Check the digits of an IBAN (ISO 13616). At least half of its signs are digits."""
    if 2 * sum(map(str.isdigit, account)) < len(account):
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1
