"""Generate nonsense: payloads of a source with random mistakes, from a seed."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

SECRETS: Final = (
    "ann.secret@example.org",
    "Ann Secret",
    "+34 600 555 666",
    34_600_555_666,
    "4111 1111 1111 1111",
)
TRACES: Final = ("secret", "Secret", "600 555 666", "600555666", "4111", "@example", "3491555")
"""Texts that would give away the secrets, or the customers in the payloads."""
_NUMBERS: Final = (
    0,
    -1,
    6.5,
    -0.0,
    1e308,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
)
_TEXTS: Final = (
    "", " ", "NaN", "-Infinity", "1e400", "٣", "²", "true", "null", "\x00", "a\nb", "👍", "\ud800", "x" * 300,
    "x" * 70_000, "9" * 50, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "24:00",
    "2026-13-01T00:00:00Z", "2026-11-22T10:00:00", "2026-11-22 10:00:00 +0100", "1795255203000",
)  # fmt: skip
_SHAPES: Final = (None, True, False, [], {}, [[]], [None], {"": {"": []}}, [1] * 50)
ODD: Final = (*_NUMBERS, *_TEXTS, *_SHAPES, *SECRETS, *SECRETS)
Location = tuple[Any, Any]


def nonsense_payloads(seed: str, samples: Sequence[str], form: str, times: int) -> Iterator[bytes]:
    """Yield spoiled payloads, the same for the same seed, made from valid samples of the source."""
    chance = Random(seed)
    spoiled: Callable[[Random, str], bytes] = _spoiled_line if form == "line" else _spoiled_object
    for _ in range(times):
        kind = chance.random()
        if kind < 0.03:
            yield chance.randbytes(chance.randrange(40))
        elif kind < 0.06:
            yield _torn(chance, chance.choice(samples).encode())
        elif kind < 0.09:
            yield _encode(chance.choice(ODD))
        else:
            yield spoiled(chance, chance.choice(samples))


def _torn(chance: Random, payload: bytes) -> bytes:
    """Cut a payload off, or change one byte."""
    where = chance.randrange(len(payload))
    if chance.random() < 0.5:
        return payload[:where]
    return payload[:where] + chance.randbytes(1) + payload[where + 1 :]


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _spoiled_line(chance: Random, line: str) -> bytes:
    fields = line.split("|")
    for _ in range(chance.randint(1, 3)):
        field_index, odd = chance.randrange(len(fields)), str(chance.choice(ODD))
        choice = chance.random()
        if choice < 0.7:
            fields[field_index] = odd
        elif choice < 0.8:
            fields.insert(field_index, odd)
        elif len(fields) > 1:
            del fields[field_index]
    return "|".join(fields).encode(errors="surrogatepass")


def _spoiled_object(chance: Random, written: str) -> bytes:
    payload = json.loads(written)
    for _ in range(chance.randint(1, 3)):
        if locations := list(_locations(payload)):
            _spoil(chance, *chance.choice(locations), locations)
    again = _encode(payload)
    if chance.random() < 0.05:  # a field that is there twice
        return b'{"' + chance.choice([*payload, "id"]).encode() + b'": 7, ' + again[1:]
    return again


def _locations(body: Any) -> Iterator[Location]:
    """Yield each container and key in the body, at any depth."""
    for key in list(body) if isinstance(body, dict) else range(len(body)):
        yield body, key
        if isinstance(body[key], dict | list):
            yield from _locations(body[key])


def _spoil(chance: Random, body: Any, key: Any, locations: Sequence[Location]) -> None:
    choice, value = chance.random(), body[key]
    if choice < 0.15:
        del body[key]
    elif choice < 0.65:
        body[key] = copy.deepcopy(chance.choice(ODD))
    elif choice < 0.75:
        other, at = chance.choice(locations)
        body[key] = copy.deepcopy(other[at])
    elif choice < 0.85:
        body[key] = [value] if chance.random() < 0.5 else {"value": value}
    elif choice < 0.92:
        body[key] = _respelled(value)
    elif isinstance(body, dict):
        body[str(chance.choice(SECRETS))] = value
    else:
        body.append(value)


def _respelled(value: Any) -> Any:
    """Return the same value in another notation."""
    if isinstance(value, str):
        return value.swapcase() if not value.isdecimal() else int(value)
    return str(value)
