"""Find national ids in texts, by their shapes and check digits.

In a shape `d` is a digit, `A` a letter, `X` either, `_` an optional separator, `=` a required one. Other
signs stand for themselves, [...] as in regular expressions. A check gets the id without separators.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

Span = tuple[int, int]

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_PPS = "WABCDEFGHIJKLMNOPQRSTUV"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        ),
        strict=True,
    )
)
_VERHOEFF = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isdigit()]


def luhn(text: str) -> bool:
    """Check the Luhn digit (ISO/IEC 7812-1) of payment cards and of some countries' ids.

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    twice = ((2 * one - 9 if one > 4 else 2 * one) for one in digits(text)[-2::-2])
    return (sum(digits(text)[-1::-2]) + sum(twice)) % 10 == 0


def iso_7064(text: str) -> bool:
    """Check the ISO 7064 MOD 11,10 digit of German and Croatian tax numbers.

    >>> iso_7064("86095742719")
    True
    """
    product = 10
    for one in digits(text)[:-1]:
        product = ((product + one) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits(text)[-1]


def verhoeff(text: str) -> bool:
    """Check the Verhoeff digit of Aadhaar numbers, over the dihedral group of order ten.

    >>> verhoeff("2341 2341 2346")
    True
    """
    check = 0
    for place, one in enumerate(reversed(digits(text))):
        for _ in range(place % 8):
            one = _VERHOEFF[one]
        check = _in_dihedral_group(check, one)
    return check == 0


def _in_dihedral_group(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 + 5 * (right >= 5)
    return (left - right) % 5 + 5 * (right < 5)


def _sum(text: str, weights: Sequence[int]) -> int:
    return sum(one * weight for one, weight in zip(digits(text), weights, strict=False))


def _weighted(modulus: int, *weights: int) -> Callable[[str], bool]:
    """Return a check: the weighted digits, check digit included, must be divisible by the modulus."""
    return lambda text: _sum(text, weights) % modulus == 0


def _day(text: str, at: int, month_first: int = 2) -> bool:
    """Tell whether the six digits from there on may be a birthday: YYMMDD, or DDMMYY if not `month_first`."""
    first, month, last = text[at : at + 2], int(text[at + 2 : at + 4]), text[at + 4 : at + 6]
    return 1 <= month <= 12 and 1 <= int(last if month_first else first) <= 31


def _dni(text: str) -> bool:
    number = text[:-1].translate({88: "0", 89: "1", 90: "2"})
    return _DNI[int(number) % 23] == text[-1]


def _nir(text: str) -> bool:
    number = text[:-2].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[-2:])


def _codice_fiscale(text: str) -> bool:
    even = sum(int(sign) if sign.isdigit() else ord(sign) - 65 for sign in text[1:15:2])
    return chr(65 + (even + sum(_ODD[sign] for sign in text[0:15:2])) % 26) == text[15]


def _nif(text: str) -> bool:
    check = 11 - _sum(text, range(9, 1, -1)) % 11
    return (check if check < 10 else 0) == int(text[-1])


def _cpf(text: str) -> bool:
    found = digits(text)
    first = _sum(text, range(10, 1, -1)) * 10 % 11 % 10
    return first == found[9] and _sum(text, range(11, 1, -1)) * 10 % 11 % 10 == found[10]


def _ssn(text: str) -> bool:
    return text[:3] not in ("000", "666") and text[0] != "9" and text[3:5] != "00" and text[5:] != "0000"


def _resident(text: str) -> bool:
    weights = [2**place % 11 for place in range(17, 0, -1)]
    return _day(text, 8) and "10X98765432"[_sum(text[:17], weights) % 11] == text[17]


def _curp(text: str) -> bool:
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    total = sum(alphabet.index(sign) * (18 - place) for place, sign in enumerate(text[:17]))
    return -total % 10 == int(text[17])


def _nino(text: str) -> bool:
    return text[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _belgian(text: str) -> bool:
    number, check = int(text[:9]), int(text[9:])
    return _day(text, 0) and check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def _pesel(text: str) -> bool:
    return int(text[2:4]) % 20 in range(1, 13) and _sum(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _norwegian(text: str) -> bool:
    first = _sum(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    return first and _sum(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _turkish(text: str) -> bool:
    found = digits(text)
    tenth = (7 * sum(found[0:9:2]) - sum(found[1:8:2])) % 10
    return tenth == found[9] and sum(found[:10]) % 10 == found[10]


def _snils(text: str) -> bool:
    return _sum(text, range(9, 0, -1)) % 101 % 100 == int(text[9:])


def _rut(text: str) -> bool:
    total = sum(int(one) * (2 + place % 6) for place, one in enumerate(reversed(text[:-1])))
    return "0123456789K0"[11 - total % 11] == text[-1]


def _cuil(text: str) -> bool:
    return _sum(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _my_number(text: str) -> bool:
    rest = _sum(text, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (11 - rest if rest > 1 else 0) == int(text[-1])


def _nric(text: str) -> bool:
    total = _sum(text, (2, 7, 6, 5, 4, 3, 2)) + (4 if text[0] in "TG" else 3 if text[0] == "M" else 0)
    letters = {"S": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    known = letters[{"T": "S", "G": "F"}.get(text[0], text[0])]
    return known[10 - total % 11 if text[0] == "M" else total % 11] == text[-1]


class Shape(NamedTuple):
    country: str
    shape: str
    check: Callable[[str], bool]


SHAPES: Final = tuple(
    Shape(*row)
    for row in (
        ("Spain", "dd_ddd_ddd_A", _dni),
        ("Spain, foreigners", "[XYZ]_d_ddd_ddd_A", _dni),
        ("France", "[12378]_dd_dd_d[0-9AB]_ddd_ddd_dd", _nir),
        ("Italy", "AAA_AAA_XXAXX_AXXXA", _codice_fiscale),
        ("Germany, tax", "[1-9]d_ddd_ddd_ddd", iso_7064),
        ("Germany, insurance", "dd_[0-3]d[01]ddd_A_ddd", lambda text: _day(text, 2, 0)),
        ("Portugal", "[1235689]dd_ddd_ddd", _nif),
        ("United Kingdom", "AA_dd_dd_dd_[A-D]", _nino),
        ("United Kingdom, health", "ddd_ddd_dddd", _weighted(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)),
        ("Ireland", "dddddddA", lambda text: _PPS[_sum(text, range(8, 1, -1)) % 23] == text[7]),
        ("United States", "ddd=dd=dddd", _ssn),
        ("Canada", "ddd=ddd=ddd", luhn),
        ("Mexico, CURP", "A[AEIOUX]AAdddddd[HMX]AAAAAXd", _curp),
        ("Mexico, RFC", "A[AEIOUX]AAddddddXXX", lambda text: _day(text, 4)),
        ("Brazil", "ddd_ddd_ddd_dd", _cpf),
        ("Argentina", "[23][0347]_dddddddd_d", _cuil),
        ("Chile", "d?d_ddd_ddd=[0-9K]", _rut),
        ("China", "dddddd_dddddddd_ddd[0-9X]", _resident),
        ("Taiwan", "A[1289]dddddddd", lambda text: True),
        ("Singapore", "[STFGM]dddddddA", _nric),
        ("Japan", "dddd_dddd_dddd", _my_number),
        ("South Korea", "dddddd=ddddddd", lambda text: _day(text, 0)),
        ("India, Aadhaar", "[2-9]ddd_dddd_dddd", verhoeff),
        ("India, PAN", "AAAPAddddA", lambda text: True),
        ("Netherlands", "dddddddd?d", _weighted(11, 9, 8, 7, 6, 5, 4, 3, 2, -1)),
        ("Belgium", "dd_dd_dd_ddd_dd", _belgian),
        ("Switzerland", "756_dddd_dddd_dd", _weighted(10, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)),
        ("Austria", "dddd_dddddd", _weighted(11, 3, 7, 9, -1, 5, 8, 4, 2, 1, 6)),
        ("Poland", "ddddddddddd", _pesel),
        ("Czechia, Slovakia", "dddddd/dddd", lambda text: int(text) % 11 == 0),
        ("Romania", "[1-8]dddddddddddd", _weighted(11, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9, -1)),
        ("Bulgaria", "dddddddddd", lambda t: _sum(t, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(t[9])),
        ("Croatia", "ddddddddddd", iso_7064),
        ("Greece", "ddddddddddd", lambda text: _day(text, 0, 0) and luhn(text)),
        ("Sweden", "(?:19|20)?dddddd[-+]?dddd", lambda text: _day(text[-10:], 0) and luhn(text[-10:])),
        ("Denmark", "dddddd-dddd", lambda text: _day(text, 0, 0)),
        ("Norway", "dddddd_ddddd", _norwegian),
        ("Finland", "dddddd[-+A-FU-Y]dddX", lambda t: _HETU[int(t[:6] + t[-4:-1]) % 31] == t[-1]),
        ("Turkey", "[1-9]dddddddddd", _turkish),
        ("Russia", "ddd_ddd_ddd_dd", _snils),
        ("Israel", "ddddddddd", luhn),
    )
)

FEWEST_DIGITS: Final = 4
_LONGEST: Final = 40
_SIGNS: Final = {"d": "[0-9]", "A": "[A-Z]", "X": "[0-9A-Z]", "_": r"[ .\-/]{0,2}", "=": r"[ .\-/]{1,2}"}
_PARTS: Final = re.compile(r"\[[^]]*\]|\\.|\(\?[:=!<]?|\{[^}]*\}|.")
_NUMBERS: Final = re.compile(
    r"\(?(?:[A-Z]{1,3}[ .\-/]){0,2}[A-Z]{0,6}[0-9][0-9A-Z]*"
    r"(?:[ .\-/()+]{1,3}(?:[A-Z]{0,6}[0-9][0-9A-Z]*|[A-Z](?![A-Z])))*"
)


def compiled(shape: str) -> re.Pattern[str]:
    """Return the pattern of a shape in plain text; no digit or letter may adjoin it.

    >>> compiled("ddd=dd=dddd").search("SSN 078-05-1120.")[0]
    '078-05-1120'
    """
    signs = (_SIGNS.get(sign, sign) for sign in _PARTS.findall(shape))
    return re.compile(rf"(?<![0-9A-Z])(?<![0-9][.,])(?:{''.join(signs)})(?![0-9A-Z])(?![.,][0-9])")


def numbers(text: str) -> list[Span]:
    """Return the spans of adjoining words with digits. Every id and phone number lies within one of them.

    >>> text = "order 12345, or 600 123 457"
    >>> [text[start:end] for start, end in numbers(text)]
    ['12345', '600 123 457']
    """
    found = (match.span() for match in _NUMBERS.finditer(text))
    return [(start, end) for start, end in found if _digits_in(text[start:end]) >= FEWEST_DIGITS]


def found_in(text: str, pattern: re.Pattern[str], start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the matches that begin in this span; they may end after it."""
    return (match for match in pattern.finditer(text, start, end + _LONGEST) if match.start() < end)


def _digits_in(text: str) -> int:
    return sum(map(text.count, "0123456789"))


_PATTERNS: Final = tuple((compiled(one.shape), one.check) for one in SHAPES)


def national_ids(text: str) -> list[Span]:
    """Return the spans of national ids in a plain text, the longest first.

    A run of one repeated digit is no id.

    >>> national_ids("MY DNI IS 12345678Z")
    [(10, 19)]
    """
    found = []
    for start, end in numbers(text):
        for pattern, check in _PATTERNS:
            for match in found_in(text, pattern, start, end):
                number = "".join(filter(str.isalnum, match[0]))
                if len(set(number)) > 1 and check(number):
                    found.append(match.span())
    return sorted(found, key=lambda span: span[0] - span[1])
