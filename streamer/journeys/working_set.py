"""Documents of one batch: as they were read, and as they are after the events applied so far.

Each event is applied in a `Transaction`, which takes effect as a whole. Where it asks for a document that was
not read yet, `DocumentsNotLoaded` ends it without effect; the caller reads the document and tries again.
Documents of several reads may contradict each other, since other workers commit between the reads. The store
refuses to commit such a batch, so the code here must only not fail on it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from streamer.journeys.journey import (
    FactGroup,
    FactNamings,
    IdentityRecord,
    Journey,
    Key,
    StatedValue,
    pack_record,
    unpack_record,
)
from streamer.journeys.state_history import AgentHistory, ContactHistory, pack_agent, unpack_agent

SHARED_KINDS: Final = ("customer", "contact", "survey")
"""Kinds of ids that many may share."""


class DocumentsNotLoaded(Exception):  # noqa: N818 - it asks for more, nothing went wrong
    """Raised to ask for the documents `keys`, which must be read first."""

    def __init__(self, keys: Iterable[Key]) -> None:
        super().__init__()
        self.keys = frozenset(keys)


class WorkingSet:
    """Documents of one batch: identity records, journeys and agents' histories, by key.

    `forget_before_ms`: contacts older than that are left out when a journey is loaded. Their counts stay in
    the panes, but no event can change them any more. `live_floor_ms`: the same of agents' states, for agents
    that nothing is known of after `silence_ms`.

    >>> from streamer.journeys.journey import contact_key, customer_key
    >>> call = contact_key("c1")
    >>> documents = WorkingSet(0)
    >>> documents.load(call, pack_record(IdentityRecord(journey=customer_key("ann"))))
    >>> documents.references([call]) == {customer_key("ann")}  # to be read next
    True
    >>> documents.load(customer_key("ann"), None)
    >>> documents.references([call]), documents.writes()
    (set(), {})
    """

    def __init__(self, forget_before_ms: int, live_floor_ms: int = 0, silence_ms: int = 0) -> None:
        self._forget_before_ms = forget_before_ms
        self._live_floor_ms = live_floor_ms
        self._silence_ms = silence_ms
        self.records: dict[Key, IdentityRecord] = {}
        self.journeys_before: dict[Key, Journey] = {}
        self.journeys_after: dict[Key, Journey] = {}
        self.agents_before: dict[Key, AgentHistory | None] = {}
        self.agents_after: dict[Key, AgentHistory | None] = {}
        self.changed_keys: set[Key] = set()
        self.changed_segments: set[Key] = set()
        """Keys of the records whose states changed."""
        self.ids_found_shared: Counter[str] = Counter()
        """Numbers of ids that were found to be shared, by SHARED_KINDS."""

    def __contains__(self, key: Key) -> bool:
        return key in self.records or key in self.journeys_before or key in self.agents_before

    def is_shared(self, key: Key) -> bool:
        """Tell whether this is the key of a shared id, as far as its document is loaded."""
        document = self.records.get(key) or self.journeys_after.get(key)
        return document is not None and document.is_shared

    def load(self, key: Key, packed: bytes | None) -> None:
        """Add a document that was read; None: the store has none under this key."""
        if key[:1] == b"e":
            record = unpack_record(packed)
            if record.namings is not None:
                namings = record.namings.since(self._forget_before_ms)
                record = IdentityRecord(
                    record.fact, record.journey, record.survey_group, namings, record.states
                )
            self.records[key] = record
        elif key[:1] == b"a":
            agent = None if packed is None else unpack_agent(packed, self._live_floor_ms, self._silence_ms)
            self.agents_before[key] = self.agents_after[key] = agent
        else:
            journey = Journey.unpacked(packed, self._forget_before_ms) if packed else Journey({})
            self.journeys_before[key] = self.journeys_after[key] = journey

    def references(self, keys: Iterable[Key]) -> set[Key]:
        """Return the keys of documents that the records of `keys` refer to and that are not loaded."""
        referenced_keys: set[Key] = set()
        for key in keys:
            record = self.records.get(key)
            if record is None:
                continue
            if record.fact is not None and record.fact.group is not None:
                referenced_keys.add(record.fact.group)
            if record.journey is not None:
                referenced_keys.add(record.journey)
            if record.survey_group is not None:
                referenced_keys.add(record.survey_group)
        return {key for key in referenced_keys if key not in self}

    def changed_agents(self) -> Iterable[tuple[Key, AgentHistory | None, AgentHistory]]:
        """Yield the agents whose history changed: key, history before, history after."""
        for key, after in self.agents_after.items():
            before = self.agents_before[key]
            if after is not before and after is not None:
                yield key, before, after

    def writes(self) -> dict[Key, bytes | None]:
        """Return the changed documents by key, packed; None: delete the document."""
        return {key: self._packed(key) for key in self.changed_keys}

    def _packed(self, key: Key) -> bytes | None:
        letter = key[:1]
        if letter == b"e":
            return pack_record(self.records[key])
        return pack_agent(self.agents_after[key]) if letter == b"a" else self.journeys_after[key].packed()


class Transaction:
    """Changes of one event, kept apart from the working set until `commit`.

    >>> from streamer.journeys.journey import contact_key, customer_key
    >>> documents = WorkingSet(0)
    >>> documents.load(contact_key("c1"), None)
    >>> transaction = Transaction(documents)
    >>> transaction.set_journey(contact_key("c1"), customer_key("ann"))
    >>> len(documents.writes())
    0
    >>> transaction.commit()
    >>> len(documents.writes())
    1
    """

    __slots__ = ("_agents", "_documents", "_journeys", "_records", "_segments", "ids_found_shared")

    def __init__(self, documents: WorkingSet) -> None:
        self._documents = documents
        self._records: dict[Key, IdentityRecord] = {}
        self._journeys: dict[Key, Journey] = {}
        self._agents: dict[Key, AgentHistory] = {}
        self._segments: set[Key] = set()
        self.ids_found_shared: list[str] = []

    def record(self, key: Key) -> IdentityRecord:
        record = self._records.get(key) or self._documents.records.get(key)
        if record is None:
            raise DocumentsNotLoaded([key])
        return record

    def journey(self, key: Key) -> Journey:
        """Return a journey to read from, never to change."""
        journey = self._journeys.get(key) or self._documents.journeys_after.get(key)
        if journey is None:
            raise DocumentsNotLoaded([key])
        return journey

    def find_group(self, key: Key) -> tuple[Key | None, FactGroup | None]:
        """Return the key of the journey a group lies in, and the group; None for what does not exist."""
        journey = self.record(key).journey
        return journey, self.journey(journey).groups.get(key) if journey is not None else None

    def set_record(self, key: Key, record: IdentityRecord) -> None:
        self._records[key] = record

    def set_journey(self, key: Key, journey: Key | None) -> None:
        """Record which journey a group lies in; None: in no journey."""
        record = self.record(key)
        self._records[key] = IdentityRecord(
            record.fact, journey, record.survey_group, record.namings, record.states
        )

    def set_namings(self, key: Key, namings: FactNamings | None) -> None:
        """Record which facts name a contact or survey."""
        record = self.record(key)
        self._records[key] = IdentityRecord(
            record.fact, record.journey, record.survey_group, namings, record.states
        )

    def set_states(self, key: Key, states: ContactHistory | None) -> None:
        """Record the states of a segment; None: it is not under way any more."""
        record = self.record(key)
        self._records[key] = IdentityRecord(
            record.fact, record.journey, record.survey_group, record.namings, states
        )
        self._segments.add(key)

    def agent(self, key: Key) -> AgentHistory | None:
        if key not in self._documents.agents_after:
            raise DocumentsNotLoaded([key])
        return self._agents.get(key) or self._documents.agents_after[key]

    def set_agent(self, key: Key, history: AgentHistory) -> None:
        self._agents[key] = history

    def put_group(self, journey: Key, group: FactGroup) -> None:
        self._writable_journey(journey).groups[group.key] = group

    def remove_group(self, journey: Key, group: Key) -> None:
        del self._writable_journey(journey).groups[group]

    def add_claim(self, journey: Key, claim: Key, time_ms: int) -> None:
        self._writable_journey(journey).claimed_by[claim] = time_ms

    def set_valuations(self, journey: Key, valuations: tuple[StatedValue, ...]) -> None:
        self._writable_journey(journey).valuations = valuations

    def replace_journey(self, key: Key, journey: Journey) -> None:
        self._journeys[key] = journey

    def _writable_journey(self, key: Key) -> Journey:
        journey = self._journeys.get(key)
        if journey is None:
            journey = self._journeys[key] = self.journey(key).copy()
        return journey

    def require_documents(self, keys: Iterable[Key]) -> None:
        """Raise one DocumentsNotLoaded for all of these documents that are not loaded."""
        if absent := [key for key in keys if key not in self._documents]:
            raise DocumentsNotLoaded(absent)

    def commit(self) -> None:
        documents = self._documents
        documents.records.update(self._records)
        documents.journeys_after.update(self._journeys)
        documents.changed_keys.update(self._records, self._journeys)
        if self._agents:
            documents.agents_after.update(self._agents)
            documents.changed_keys.update(self._agents)
        documents.changed_segments |= self._segments
        if self.ids_found_shared:
            documents.ids_found_shared.update(self.ids_found_shared)
