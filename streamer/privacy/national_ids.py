"""Find national ids in texts, by their shapes and check digits.

In a shape `d` is a digit, `A` a letter, `X` either, `_` an optional separator, `=` a required one. Other
signs stand for themselves, [...] as in regular expressions. A check gets the id without separators.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def digit_values(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isdigit()]


def luhn(text: str) -> bool:
    """Check the Luhn digit (ISO/IEC 7812-1) of payment cards and of some countries' ids.

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    doubled = ((2 * digit - 9 if digit > 4 else 2 * digit) for digit in digit_values(text)[-2::-2])
    return (sum(digit_values(text)[-1::-2]) + sum(doubled)) % 10 == 0


def iso_7064(text: str) -> bool:
    """Check the ISO 7064 MOD 11,10 digit of German and Croatian tax numbers.

    >>> iso_7064("86095742719")
    True
    """
    product = 10
    for digit in digit_values(text)[:-1]:
        product = ((product + digit) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digit_values(text)[-1]


def verhoeff(text: str) -> bool:
    """Check the Verhoeff digit of Aadhaar numbers, over the dihedral group of order ten.

    >>> verhoeff("2341 2341 2346")
    True
    """
    check = 0
    for position, digit in enumerate(reversed(digit_values(text))):
        for _ in range(position % 8):
            digit = _VERHOEFF[digit]
        check = _multiply_in_dihedral_group(check, digit)
    return check == 0


def _multiply_in_dihedral_group(first: int, second: int) -> int:
    if first < 5:
        return (first + second) % 5 + 5 * (second >= 5)
    return (first - second) % 5 + 5 * (second < 5)


def _weighted_sum(text: str, weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digit_values(text), weights, strict=False))


def _weighted_check(modulus: int, *weights: int) -> Callable[[str], bool]:
    """Return a check: the weighted digits, check digit included, must be divisible by the modulus."""
    return lambda text: _weighted_sum(text, weights) % modulus == 0


def _is_birthday(text: str, start: int, month_first: int = 2) -> bool:
    """Tell whether the six digits from there on may be a birthday: YYMMDD, or DDMMYY if not `month_first`."""
    first, month, last = (
        text[start : start + 2],
        int(text[start + 2 : start + 4]),
        text[start + 4 : start + 6],
    )
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
    check = 11 - _weighted_sum(text, range(9, 1, -1)) % 11
    return (check if check < 10 else 0) == int(text[-1])


def _cpf(text: str) -> bool:
    values = digit_values(text)
    first = _weighted_sum(text, range(10, 1, -1)) * 10 % 11 % 10
    return first == values[9] and _weighted_sum(text, range(11, 1, -1)) * 10 % 11 % 10 == values[10]


def _ssn(text: str) -> bool:
    return text[:3] not in ("000", "666") and text[0] != "9" and text[3:5] != "00" and text[5:] != "0000"


def _resident(text: str) -> bool:
    weights = [2**position % 11 for position in range(17, 0, -1)]
    return _is_birthday(text, 8) and "10X98765432"[_weighted_sum(text[:17], weights) % 11] == text[17]


def _curp(text: str) -> bool:
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    total = sum(alphabet.index(sign) * (18 - position) for position, sign in enumerate(text[:17]))
    return -total % 10 == int(text[17])


def _nino(text: str) -> bool:
    return text[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _belgian(text: str) -> bool:
    number, check = int(text[:9]), int(text[9:])
    return int(text[2:4]) % 20 <= 12 and check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def _pesel(text: str) -> bool:
    return (
        int(text[2:4]) % 20 in range(1, 13)
        and _weighted_sum(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    )


def _cnp(text: str) -> bool:
    total = _weighted_sum(text[:-1], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return _is_birthday(text, 1) and (total if total < 10 else 1) == int(text[-1])


def _egn(text: str) -> bool:
    total = _weighted_sum(text, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return int(text[2:4]) % 20 in range(1, 13) and 1 <= int(text[4:6]) <= 31 and total == int(text[9])


def _norwegian(text: str) -> bool:
    first = _weighted_sum(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    return first and _weighted_sum(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _turkish(text: str) -> bool:
    values = digit_values(text)
    tenth = (7 * sum(values[0:9:2]) - sum(values[1:8:2])) % 10
    return tenth == values[9] and sum(values[:10]) % 10 == values[10]


def _snils(text: str) -> bool:
    return _weighted_sum(text, range(9, 0, -1)) % 101 % 100 == int(text[9:])


def _rut(text: str) -> bool:
    total = sum(int(digit) * (2 + position % 6) for position, digit in enumerate(reversed(text[:-1])))
    return "0123456789K0"[11 - total % 11] == text[-1]


def _cuil(text: str) -> bool:
    total = _weighted_sum(text[:-1], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return "012345678990"[11 - total % 11] == text[-1]


def _my_number(text: str) -> bool:
    rest = _weighted_sum(text, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (11 - rest if rest > 1 else 0) == int(text[-1])


def _nric(text: str) -> bool:
    total = _weighted_sum(text, (2, 7, 6, 5, 4, 3, 2)) + (
        4 if text[0] in "TG" else 3 if text[0] == "M" else 0
    )
    letters = {"S": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    check_letters = letters[{"T": "S", "G": "F"}.get(text[0], text[0])]
    return check_letters[10 - total % 11 if text[0] == "M" else total % 11] == text[-1]


class IdShape(NamedTuple):
    country: str
    pattern: str
    check: Callable[[str], bool]


SHAPES: Final = tuple(
    IdShape(*row)
    for row in (
        ("Spain", "dd_ddd_ddd_A", _dni),
        ("Spain, foreigners", "[XYZ]_d_ddd_ddd_A", _dni),
        ("France", "[12378]_dd_dd_d[0-9AB]_ddd_ddd_dd", _nir),
        ("Italy", "AAA_AAA_XXAXX_AXXXA", _codice_fiscale),
        ("Germany, tax", "[1-9]d_ddd_ddd_ddd", iso_7064),
        ("Germany, insurance", "dd_[0-3]d[01]ddd_A_ddd", lambda text: _is_birthday(text, 2, 0)),
        ("Portugal", "[1235689]dd_ddd_ddd", _nif),
        ("United Kingdom", "AA_dd_dd_dd_[A-D]", _nino),
        ("United Kingdom, health", "ddd_ddd_dddd", _weighted_check(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)),
        ("Ireland", "dddddddA", lambda text: _PPS[_weighted_sum(text, range(8, 1, -1)) % 23] == text[7]),
        ("United States", "ddd=dd=dddd", _ssn),
        ("Canada", "ddd=ddd=ddd", luhn),
        ("Mexico, CURP", "A[AEIOUX]AAdddddd[HMX]AAAAAXd", _curp),
        ("Mexico, RFC", "A[AEIOUX]AAddddddXXX", lambda text: _is_birthday(text, 4)),
        ("Brazil", "ddd_ddd_ddd_dd", _cpf),
        ("Argentina", "[23][0347]_dddddddd_d", _cuil),
        ("Chile", "d?d_ddd_ddd=[0-9K]", _rut),
        ("China", "dddddd_dddddddd_ddd[0-9X]", _resident),
        ("Taiwan", "A[1289]dddddddd", lambda text: True),
        ("Singapore", "[STFGM]dddddddA", _nric),
        ("Japan", "dddd_dddd_dddd", _my_number),
        ("South Korea", "dddddd=ddddddd", lambda text: _is_birthday(text, 0)),
        ("India, Aadhaar", "[2-9]ddd_dddd_dddd", verhoeff),
        ("India, PAN", "AAAPAddddA", lambda text: True),
        ("Netherlands", "dddddddd?d", _weighted_check(11, 9, 8, 7, 6, 5, 4, 3, 2, -1)),
        ("Belgium", "dd_dd_dd_ddd_dd", _belgian),
        ("Switzerland", "756_dddd_dddd_dd", _weighted_check(10, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)),
        ("Austria", "dddd_dddddd", _weighted_check(11, 3, 7, 9, -1, 5, 8, 4, 2, 1, 6)),
        ("Poland", "ddddddddddd", _pesel),
        ("Czechia, Slovakia", "dddddd/dddd", lambda text: int(text) % 11 == 0),
        ("Romania", "[1-8]dddddddddddd", _cnp),
        ("Bulgaria", "dddddddddd", _egn),
        ("Croatia", "ddddddddddd", iso_7064),
        ("Greece", "ddddddddddd", lambda text: _is_birthday(text, 0, 0) and luhn(text)),
        (
            "Sweden",
            "(?:19|20)?dddddd[-+]?dddd",
            lambda text: _is_birthday(text[-10:], 0) and luhn(text[-10:]),
        ),
        ("Denmark", "dddddd-dddd", lambda text: _is_birthday(text, 0, 0)),
        ("Norway", "dddddd_ddddd", _norwegian),
        ("Finland", "dddddd[-+A-FU-Y]dddX", lambda t: _HETU[int(t[:6] + t[-4:-1]) % 31] == t[-1]),
        ("Turkey", "[1-9]dddddddddd", _turkish),
        ("Russia", "ddd_ddd_ddd_dd", _snils),
        ("Israel", "ddddddddd", luhn),
    )
)

FEWEST_DIGITS: Final = 4
_LONGEST_ID: Final = 40
SEPARATOR: Final = r"[ .\-/_*|]"
_SIGN_PATTERNS: Final = {
    "d": "[0-9]",
    "A": "[A-Z]",
    "X": "[0-9A-Z]",
    "_": f"(?:{SEPARATOR}{{0,2}}| - )",
    "=": f"(?:{SEPARATOR}{{1,2}}| - )",
}
_SHAPE_END: Final = r"(?![0-9A-Z])(?![.,][0-9])"
_SHAPE_TOKEN: Final = re.compile(r"\[[^]]*\]|\\.|\(\?[:=!<]?|\{[^}]*\}|.")
_NUMBER_RUN: Final = re.compile(
    r"[0-9][0-9A-Z]*"
    rf"(?:[ .\-/_*|()+]{{1,3}}(?:[A-Z]{SEPARATOR}{{1,3}})?[A-Z]{{0,6}}[0-9][0-9A-Z]*)*"
    rf"(?:{SEPARATOR}{{1,3}}[A-Z](?![A-Z]))?"
)
_LONGEST_PREFIX: Final = 16
"""Most characters of an id or a phone number before its first digit."""


class ShapeSearch:
    """Search for shapes in plain texts; no digit or letter may adjoin one.

    One pattern of all shapes tells where any begins, so that a text is not searched for each of them.

    >>> for index, match in ShapeSearch(["ddd=dd=dddd", "ddddA"]).matches("SSN 078-05-1120.", 4, 15):
    ...     print(index, match[0])
    0 078-05-1120
    """

    def __init__(self, shapes: Iterable[str]) -> None:
        patterns = [
            "".join(_SIGN_PATTERNS.get(sign, sign) for sign in _SHAPE_TOKEN.findall(shape))
            for shape in shapes
        ]
        self._patterns = [re.compile(f"(?:{pattern}){_SHAPE_END}") for pattern in patterns]
        self._beginning = re.compile(rf"(?<![0-9A-Z])(?<![0-9][.,])(?=(?:{'|'.join(patterns)}){_SHAPE_END})")

    def matches(self, text: str, start: int, end: int) -> Iterator[tuple[int, re.Match[str]]]:
        """Yield the index of a shape and its match, shape by shape, for all that begin in this span."""
        limit = end + _LONGEST_ID
        beginnings = [match.start() for match in self._beginning.finditer(text, start, limit)]
        for index, pattern in enumerate(self._patterns if beginnings else ()):
            for beginning in beginnings:
                if beginning < end and (match := pattern.match(text, beginning, limit)):
                    yield index, match


def number_runs(text: str) -> list[Span]:
    """Return the spans of adjoining words with digits, and a little before. Every id lies within one of them.

    >>> text = "AN ORDER, 12345, OR THE NUMBER 600 123 457"
    >>> [text[start:end] for start, end in number_runs(text)]
    ['AN ORDER, 12345', ', OR THE NUMBER 600 123 457']
    """
    runs, previous_end = [], 0
    for match in _NUMBER_RUN.finditer(text):
        start, end = match.span()
        if count_digits(match[0]) >= FEWEST_DIGITS:
            runs.append((max(previous_end, start - _LONGEST_PREFIX), end))
        previous_end = end
    return runs


def count_digits(text: str) -> int:
    return sum(map(text.count, "0123456789"))


_SEARCH: Final = ShapeSearch(shape.pattern for shape in SHAPES)


def national_id_spans(text: str, runs: Iterable[Span]) -> list[Span]:
    """Return the spans of national ids in the number runs of a plain text, the longest first.

    A run of one repeated digit is no id.

    >>> national_id_spans("MY DNI IS 12345678Z", number_runs("MY DNI IS 12345678Z"))
    [(10, 19)]
    """
    spans = []
    for start, end in runs:
        for shape_index, match in _SEARCH.matches(text, start, end):
            number = "".join(filter(str.isalnum, match[0]))
            if len(set(number)) > 1 and SHAPES[shape_index].check(number):
                spans.append(match.span())
    return sorted(spans, key=lambda span: span[0] - span[1])
