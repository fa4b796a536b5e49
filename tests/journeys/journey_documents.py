"""Documents of the journeys in memory, and what they say: which facts are in force, and whose they are."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from streamer.events.counting_rules import CountingRules
from streamer.events.models import Event, FactIdentity
from streamer.journeys.apply import PlannedEvent, apply
from streamer.journeys.journey import ContactFact, Journey, Key, customer_key, identity_key, unpack_record
from streamer.journeys.working_set import DocumentsNotLoaded, WorkingSet
from tests.facts import NOON

CUSTOMERS = {customer_key(name): name for name in ("ann", "bob")}


class JourneyDocuments:
    """Documents to which each event is applied as a batch of its own: read, applied, packed, written."""

    def __init__(self, rules: CountingRules | None = None) -> None:
        self.rules = rules or CountingRules()
        self.packed: dict[Key, bytes] = {}
        self.ids_found_shared: Counter[str] = Counter()

    def apply(self, event: Event) -> bool:
        planned, documents = PlannedEvent(event, NOON), WorkingSet(0)
        missing_keys: Iterable[Key] = [key for key in planned.document_keys() if key is not None]
        while True:
            self._load(documents, missing_keys)
            try:
                is_applied = apply(planned, documents, self.rules)
            except DocumentsNotLoaded as not_loaded:
                missing_keys = not_loaded.keys
                continue
            break
        for key, packed in documents.writes().items():
            if packed is None:
                self.packed.pop(key, None)
            else:
                self.packed[key] = packed
        self.ids_found_shared += documents.ids_found_shared
        return is_applied

    def apply_all(self, events: Iterable[Event]) -> list[bool]:
        return [self.apply(event) for event in events]

    def _load(self, documents: WorkingSet, keys: Iterable[Key]) -> None:
        while keys:
            for key in keys:
                documents.load(key, self.packed.get(key))
            keys = documents.references(keys)

    def journeys(self) -> dict[Key, Journey]:
        return {
            key: Journey.unpacked(packed, 0) for key, packed in self.packed.items() if key[:1] in (b"c", b"o")
        }

    def fact_in_force(self, identity: FactIdentity) -> ContactFact | None:
        """Return the fact, from the group that its record leads to; None for a deleted or unknown one."""
        record = unpack_record(self.packed.get(identity_key(identity)))
        group_key = record.group_key(identity_key(identity))
        journey_key = unpack_record(self.packed.get(group_key)).journey
        group = self.journeys()[journey_key].groups.get(group_key) if journey_key is not None else None
        facts = group.facts.all() if group is not None else ()
        return next((fact for fact in facts if fact.identity == identity), None)

    def layout(self) -> list[str]:
        """Return each group as its customer ("nobody" for a journey of its own) and the ids of its facts."""
        return sorted(
            chain.from_iterable(
                (
                    f"{CUSTOMERS.get(key, 'nobody')}: "
                    + " ".join(sorted(fact.identity.id for fact in group.facts.all()))
                    for group in journey.groups.values()
                )
                for key, journey in self.journeys().items()
            )
        )
