"""Lay items of the API out as the rows of a table: a column for each field, named as in JSON.

A field of a struct within a struct has a column of its own, `figures.value`; a list, or a table of names that
are not known before, is one cell of JSON.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec

Cell = str | int | float | bool | None
NO_KEYS: Final[Mapping[str, Sequence[str]]] = {}


class TableColumns(NamedTuple):
    """The columns of a table, each as the path of its field in an item."""

    paths: tuple[tuple[str, ...], ...]

    @classmethod
    def named(cls, names: Iterable[str]) -> Self:
        """Return the columns of plain mappings that have these keys."""
        return cls(tuple((name,) for name in names))

    @classmethod
    def of(cls, item_type: type[msgspec.Struct], keys: Mapping[str, Sequence[str]] = NO_KEYS) -> Self:
        """Return the columns of a struct. `keys`: those of its fields that are mappings, by field.

        >>> from streamer.readings.score_distribution import ScoreDistribution
        >>> TableColumns.of(ScoreDistribution).names
        ['question', 'window', 'by', 'key', 'from', 'to', 'answers', 'scores']
        """
        return cls(tuple(_paths(msgspec.inspect.type_info(item_type), keys)))

    @property
    def names(self) -> list[str]:
        return [".".join(path) for path in self.paths]

    def rows(self, items: Iterable[Any]) -> Iterator[list[Cell]]:
        """Yield the row of each item, one by one.

        >>> columns = TableColumns.named(["key", "windows"])
        >>> next(columns.rows([{"key": "billing", "windows": ["1h", "4h"]}]))
        ['billing', '["1h","4h"]']
        """
        for item in items:
            fields = msgspec.to_builtins(item)
            yield [_cell(fields, path) for path in self.paths]


def _paths(item_type: msgspec.inspect.Type, keys: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    for field in _fields(item_type):
        name = field.encode_name
        if _fields(field.type):
            yield from ((name, *path) for path in _paths(field.type, keys))
        else:
            yield from [(name, key) for key in keys[name]] if name in keys else [(name,)]


def _fields(field_type: msgspec.inspect.Type) -> Sequence[msgspec.inspect.Field]:
    """Return the fields of a struct, or of one that may be missing; of anything else none."""
    types = field_type.types if isinstance(field_type, msgspec.inspect.UnionType) else (field_type,)
    return next((each.fields for each in types if isinstance(each, msgspec.inspect.StructType)), ())


def _cell(fields: Mapping[str, Any], path: tuple[str, ...]) -> Cell:
    value: Any = fields
    for name in path:
        value = None if value is None else value.get(name)
    return msgspec.json.encode(value).decode() if isinstance(value, list | tuple | dict) else value
