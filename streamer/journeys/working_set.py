"""The documents of one batch: as they were read, and as they are after the events applied so far.

An event is applied in a `Transaction`, which takes effect as a whole: where it asks for a document that was
not read yet, `DocumentsNotLoaded` ends it, nothing has happened, and it is tried again after reading. What
was read together may not fit together, since commits of others may lie between; the commit's comparison
refuses such a batch, so that here it only must not fail.
"""

from collections.abc import Iterable

from streamer.journeys.journey import (
    Group,
    IdentityRecord,
    Journey,
    Key,
    StatedValue,
    pack_record,
    unpack_record,
)


class DocumentsNotLoaded(Exception):  # noqa: N818 - it asks for more, nothing went wrong
    """Documents that must be read first."""

    def __init__(self, keys: Iterable[Key]) -> None:
        super().__init__()
        self.keys = frozenset(keys)


class WorkingSet:
    """Documents of one batch. `forget_before` (ms): contacts older than that are left out when read; they
    count where they lie, but nothing can change them any more."""

    def __init__(self, forget_before: int) -> None:
        self._forget_before = forget_before
        self.records: dict[Key, IdentityRecord] = {}
        self.before: dict[Key, Journey] = {}
        self.after: dict[Key, Journey] = {}
        self.changed: set[Key] = set()
        self.ids_found_shared = 0

    def __contains__(self, key: Key) -> bool:
        return key in self.records or key in self.before

    def load(self, key: Key, packed: bytes | None) -> None:
        """Take in a document that was read; None: absent."""
        if key[:1] == b"e":
            self.records[key] = unpack_record(packed)
        else:
            journey = Journey.unpacked(packed, self._forget_before) if packed else Journey({})
            self.before[key] = self.after[key] = journey

    def references(self, keys: Iterable[Key]) -> set[Key]:
        """Return the keys that the records of these keys name and that are not loaded."""
        named: set[Key] = set()
        for key in keys:
            record = self.records.get(key)
            if record is None:
                continue
            if record.fact is not None and record.fact.group is not None:
                named.add(record.fact.group)
            if record.journey is not None:
                named.add(record.journey)
            if record.survey_group is not None:
                named.add(record.survey_group)
        return {key for key in named if key not in self}

    def writes(self) -> dict[Key, bytes | None]:
        """Return the changed documents; None: to be deleted."""
        return {
            key: pack_record(self.records[key]) if key[:1] == b"e" else self.after[key].packed()
            for key in self.changed
        }


class Transaction:
    """The effect of one event, on the side until `commit`."""

    __slots__ = ("_documents", "_journeys", "_records", "ids_found_shared")

    def __init__(self, documents: WorkingSet) -> None:
        self._documents = documents
        self._records: dict[Key, IdentityRecord] = {}
        self._journeys: dict[Key, Journey] = {}
        self.ids_found_shared = 0

    def record(self, key: Key) -> IdentityRecord:
        record = self._records.get(key) or self._documents.records.get(key)
        if record is None:
            raise DocumentsNotLoaded([key])
        return record

    def journey(self, key: Key) -> Journey:
        """Return a journey to read from."""
        journey = self._journeys.get(key) or self._documents.after.get(key)
        if journey is None:
            raise DocumentsNotLoaded([key])
        return journey

    def find_group(self, key: Key) -> tuple[Key | None, Group | None]:
        """Return the key of a group's journey, and the group if it is there."""
        journey = self.record(key).journey
        return journey, self.journey(journey).groups.get(key) if journey is not None else None

    def set_record(self, key: Key, record: IdentityRecord) -> None:
        self._records[key] = record

    def set_journey(self, key: Key, journey: Key | None) -> None:
        """Note which journey a group lies in."""
        record = self.record(key)
        self._records[key] = IdentityRecord(record.fact, journey, record.survey_group)

    def put(self, journey: Key, group: Group) -> None:
        self._changed(journey).groups[group.key] = group

    def remove(self, journey: Key, group: Key) -> None:
        del self._changed(journey).groups[group]

    def claim(self, journey: Key, claim: Key, at: int) -> None:
        self._changed(journey).claimed_by[claim] = at

    def set_valuations(self, journey: Key, valuations: tuple[StatedValue, ...]) -> None:
        self._changed(journey).valuations = valuations

    def replace(self, key: Key, journey: Journey) -> None:
        self._journeys[key] = journey

    def _changed(self, key: Key) -> Journey:
        journey = self._journeys.get(key)
        if journey is None:
            journey = self._journeys[key] = self.journey(key).copy()
        return journey

    def need(self, keys: Iterable[Key]) -> None:
        """Raise DocumentsNotLoaded for all that are not loaded at once."""
        if absent := [key for key in keys if key not in self._documents]:
            raise DocumentsNotLoaded(absent)

    def commit(self) -> None:
        documents = self._documents
        documents.records.update(self._records)
        documents.after.update(self._journeys)
        documents.changed.update(self._records, self._journeys)
        documents.ids_found_shared += self.ids_found_shared
