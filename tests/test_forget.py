"""Tests that a forgotten customer is gone and stays gone, and that no total changes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.msgpack import encode as pack

from streamer.events.adapters.source import Fragment
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.ingest.assembly import ContactAssembly, assembly_key
from streamer.ingest.run import ingest_center
from streamer.journeys.erasure import ErasedCounts
from streamer.journeys.journey import StatedValue, StoredJourney, customer_key
from streamer.metrics.tally import COUNTS
from streamer.operations.forget import erase_assemblies, wait_until_caught_up
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.settings import SettingsError, load_settings
from streamer.store.layout import shared_key
from streamer.store.memory import MemoryStore
from streamer.store.port import EMPTY_STORE, CustomerKeyMismatch
from streamer.store.redis import RedisRegistry, RedisStore
from streamer.worker.forgotten_customers import (
    JOURNEY_KEY_LETTERS,
    ForgottenCustomersSync,
    erase_customer,
    erase_everywhere,
    find_documents_naming,
    load_pseudonymizer,
    new_customer_key,
)
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver, RecordedDeadLetters, Tallies, partition_processor, stored_tallies

NOW = 1_760_000_000_000
RULES = CountingRules(shared_id_limit=3)
KEYS = {"1": b"a key of the thirty-two bytes or more"}


class ForgettingCenter:
    """A center whose worker knows at once who is forgotten."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.pseudonymizer = Pseudonymizer(KEYS, "1")
        self._context = ProcessingContext(
            self.store,
            RULES,
            RecordedDeadLetters(),
            NullObserver(),
            lambda: NOW,
            pseudonymizer=self.pseudonymizer,
        )
        self._offsets: dict[str, int] = {}

    async def publish(self, topic: str, at_s: int = 0, **data: Any) -> None:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        record = KafkaRecord(topic, 0, offset, NOW + at_s * 1000, None, json.dumps(data).encode(), ())
        await (await partition_processor(self._context, topic, 0)).count([record], offset + 1)

    async def call(self, contact: str, customer: str, at_s: int = 0, **more: Any) -> None:
        data = {"contact_id": contact, "customer_id": customer, "queue": "q", "outcome": "answered"}
        await self.publish("call-completed", at_s, ended_at=NOW / 1000 + at_s, **data | more)

    async def answer(self, response: str, contact: str, customer: str, at_s: int = 0, **more: Any) -> None:
        data = {
            "response_id": response,
            "contact_id": contact,
            "customer_id": customer,
            "survey_id": "s-" + response,
        }
        answers = {"answers": {"nps": 2}, "comment": "never again", **more}
        await self.publish("survey-completed", at_s, answered_at=NOW / 1000 + at_s, **data | answers)

    async def forget(self, customer: str, at_s: int) -> ErasedCounts:
        pseudonyms_by_key = self.pseudonymizer.pseudonyms_by_key(customer)
        at = NOW + at_s * 1000
        self.pseudonymizer.forgotten_at_ms = {
            **self.pseudonymizer.forgotten_at_ms,
            **{pseudonyms[-1]: at for pseudonyms in pseudonyms_by_key},
        }
        names = [name for pseudonyms in pseudonyms_by_key for name in pseudonyms]
        erased = await erase_customer(self.store, names, at)
        return erased + await erase_everywhere(self.store, names, at)

    async def documents_naming_customer(self, customer: str) -> list[bytes]:
        """The documents in which the customer still is."""
        names = [name for pseudonyms in self.pseudonymizer.pseudonyms_by_key(customer) for name in pseudonyms]
        keys_naming = [key async for key, _ in find_documents_naming(self.store, "aceo", names)]
        keys = [customer_key(name) for name in names]
        return keys_naming + [key for key in keys if key in self.store.documents]


async def total(center: ForgettingCenter) -> Mapping[str, int]:
    """The long panes' counts of all together."""
    sums: dict[str, int] = {}
    for (family, _, field), tally in (await stored_tallies(center.store)).items():
        if family == "long" and field == "all":
            for name, amount in tally.items():
                sums[name] = sums.get(name, 0) + amount
    return {name: amount for name, amount in sums.items() if amount and name in COUNTS}


async def center_with_calls() -> ForgettingCenter:
    """Ana called twice and answered; Ben called too."""
    center = ForgettingCenter()
    await center.publish("customer-valued", customer_id="ana", value=90, as_of=NOW / 1000 - 9)
    await center.call("k1", "ana", segment_id="k1-1", transfer="queue")
    await center.call("k1", "ana", 5, segment_id="k1-2")
    await center.answer("r1", "k1", "ana", 10)
    await center.call("k2", "ana", 20)
    await center.call("k3", "ben", 30)
    return center


async def tallies(center: ForgettingCenter) -> Tallies:
    return await stored_tallies(center.store)


async def test_all_of_a_customer_goes_and_every_total_stays() -> None:
    house = await center_with_calls()
    before = await tallies(house)
    assert await house.documents_naming_customer("ana")
    assert await house.forget("ana", 60) == ErasedCounts(contacts=2, facts=4)
    assert not await house.documents_naming_customer("ana")
    assert await house.documents_naming_customer("ben")
    assert await tallies(house) == before


async def test_what_is_told_again_corrected_or_taken_back_of_the_erased_changes_nothing() -> None:
    house = await center_with_calls()
    await house.forget("ana", 60)
    before = await tallies(house)
    await house.call("k2", "ana", 20)
    await house.call("k2", "ana", 21, version=7, queue="other")
    await house.answer("r1", "k1", "ana", 10, version=8, answers={"nps": 10})
    await house.publish("call-completed", 70, segment_id="k1-1", version=9, deleted=True)
    await house.publish("survey-completed", 70, response_id="r1", version=2**53 - 1, deleted=True)
    assert await tallies(house) == before
    assert not await house.documents_naming_customer("ana")


async def test_without_a_seal_the_same_would_be_counted_again() -> None:
    house = await center_with_calls()
    await house.forget("ana", 60)
    before = await total(house)
    for key in [key for key in house.store.documents if key[:1] == b"e"]:
        del house.store.documents[key]
    await house.call("k2", "ana", 20)
    assert (await total(house))["answered"] == before["answered"] + 1


async def test_who_calls_again_is_somebody_new_whose_former_calls_are_nobodys() -> None:
    house = await center_with_calls()
    before = await total(house)
    await house.forget("ana", 60)
    await house.call("k4", "ana", 61)
    after = await total(house)
    assert after["answered"] == before["answered"] + 1
    assert after.get("fcr_repeats", 0) == before.get("fcr_repeats", 0)
    assert (
        len(await house.documents_naming_customer("ana")) == 2
    )  # a journey, by its key and by what is in it


async def test_a_customer_who_called_twice_before_is_a_repeat_as_long_as_not_forgotten() -> None:
    house = await center_with_calls()
    before = await total(house)
    await house.call("k4", "ana", 61)
    assert await total(house) != before | {"answered": before["answered"] + 1}
    assert (await total(house))["fcr_repeats"] == before["fcr_repeats"] + 1


async def test_what_names_the_customer_in_another_ones_contact_loses_name_and_comment() -> None:
    house = await center_with_calls()
    await house.answer("r3", "k3", "ana", 40)
    before = await tallies(house)
    assert await house.forget("ana", 60) == ErasedCounts(contacts=2, facts=4, anonymized_facts=1)
    assert not await house.documents_naming_customer("ana")
    assert not [
        key async for key, _ in find_documents_naming(house.store, JOURNEY_KEY_LETTERS, ["never again"])
    ]
    assert await tallies(house) == before
    await house.answer("r3", "k3", "ana", 40, version=1, answers={"nps": 10})
    assert (await total(house))["surveys"] == 2


async def test_a_crowd_is_found_wherever_its_contacts_lie() -> None:
    house = ForgettingCenter()
    for number in range(6):
        await house.call(f"k{number}", "0000", number)
    before = await tallies(house)
    assert await house.forget("0000", 60) == ErasedCounts(contacts=6, facts=6)
    assert not await house.documents_naming_customer("0000")
    assert await tallies(house) == before


async def test_a_customer_nobody_knows_is_remembered_all_the_same() -> None:
    house = await center_with_calls()
    documents = dict(house.store.documents)
    assert await house.forget("zoe", 60) == ErasedCounts()
    assert house.store.documents == documents
    assert house.pseudonymizer.pseudonym_at("zoe", NOW + 61_000) != house.pseudonymizer.pseudonym_at(
        "zoe", NOW
    )


async def test_a_commit_that_comes_in_between_is_seen() -> None:
    house = await center_with_calls()
    replaced, tried = house.store.replace, 0

    async def late(*args: Any) -> bool:
        nonlocal tried
        tried += 1
        if tried == 1:
            await house.call("k5", "ana", 50)
        return await replaced(*args)

    house.store.replace = late  # type: ignore[method-assign]
    assert (await house.forget("ana", 60)).contacts == 3
    assert tried > 1
    assert not await house.documents_naming_customer("ana")


@pytest.mark.parametrize("order", [("ana", "ben"), ("ben", "ana")])
async def test_who_is_forgotten_first_makes_no_difference(order: tuple[str, str]) -> None:
    house = await center_with_calls()
    await house.answer("r3", "k3", "ana", 40)
    before = await tallies(house)
    for customer in order:
        await house.forget(customer, 60)
    assert not [*await house.documents_naming_customer("ana"), *await house.documents_naming_customer("ben")]
    assert await tallies(house) == before


# Who keeps it so, in Redis.


async def test_a_worker_learns_who_was_forgotten_and_erases_what_came_late(
    store_url: str, center: str
) -> None:
    settings = load_settings(redis=store_url, center=center)
    store = await RedisStore.connect(store_url, center, settings.counting_rules())
    try:
        registry = RedisRegistry(store, center)
        hiding, other = [await load_pseudonymizer(registry, settings) for _ in range(2)]
        ana = hiding.pseudonym_at("ana", NOW)
        assert other.pseudonym_at("ana", NOW) == ana  # the same key, made once
        await registry.forget([ana], NOW)
        keeper = ForgottenCustomersSync(hiding, store, registry)
        await keeper.refresh()
        assert hiding.pseudonym_at("ana", NOW + 1) != other.pseudonym_at("ana", NOW + 1) == ana
        late, ben = pack(StoredJourney(valuations=(StatedValue("", 1, b"", 5),))), customer_key("ben")
        assert await store.replace(EMPTY_STORE, [], {customer_key(ana): late, ben: late}, NOW)
        await keeper.erase_returned()
        assert [one is None for one in (await store.read([customer_key(ana), ben])).values] == [True, False]
    finally:
        await store.close()


async def test_an_emptied_store_is_told_its_key_and_who_was_forgotten(store_url: str, center: str) -> None:
    settings = load_settings(redis=store_url, center=center)
    store = await RedisStore.connect(store_url, center, settings.counting_rules())
    try:
        registry = RedisRegistry(store, center)
        pseudonymizer = await load_pseudonymizer(registry, settings)
        ana = pseudonymizer.pseudonym_at("ana", NOW)
        sync = ForgottenCustomersSync(pseudonymizer, store, registry)
        await registry.forget([ana], NOW)
        await sync.refresh()
        await store.client.delete(shared_key(center, "customer-key"), shared_key(center, "forgotten"))
        await sync.refresh()
        assert await registry.forgotten() == {ana: NOW}
        assert (await load_pseudonymizer(registry, settings)).pseudonym_at("ana", NOW) == ana
        await store.client.set(shared_key(center, "customer-key"), "a key that another worker made")
        with pytest.raises(CustomerKeyMismatch, match="one customer would become two"):
            await sync.refresh()
    finally:
        await store.close()


async def test_forgetting_is_not_over_before_its_moment_where_no_worker_spoke_yet(
    store_url: str, center: str
) -> None:
    store = await RedisStore.connect(store_url, center)
    at_ms = (await store.server_info()).time_ms + 300
    await wait_until_caught_up(store, at_ms)
    assert (await store.server_info()).time_ms > at_ms
    await store.close()


async def test_what_a_source_said_of_a_contact_under_way_goes_too(store_url: str, center: str) -> None:
    settings = load_settings(redis=store_url, center=center)
    raw = await RedisStore.connect(store_url, ingest_center(settings))
    gone, kept = assembly_key("twilio", "t1"), assembly_key("twilio", "t2")
    said = {
        gone: Fragment("t1", "created", NOW, {"customer_id": "~1~ana"}),
        kept: Fragment("t2", "created", NOW, {}),
    }
    written = {key: pack(ContactAssembly((note,))) for key, note in said.items()}
    assert await raw.replace(EMPTY_STORE, [], written, NOW)
    assert await erase_assemblies(raw, ["~1~ana"], NOW) == 1
    assert [one is None for one in (await raw.read([gone, kept])).values] == [True, False]
    await raw.close()


def test_the_greatest_key_is_in_force_unless_another_is_named() -> None:
    keys = {"9": new_customer_key(), "10": new_customer_key()}
    assert load_settings(customer_keys=keys).counting_rules().customer_key == "10"
    assert load_settings(customer_keys=keys, customer_key="9").counting_rules().customer_key == "9"
    assert load_settings().counting_rules().customer_key == "0"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"customer_keys": {"1": "x" * 31}}, "at least 32"),
        ({"customer_keys": {"0": "x" * 32}}, "another id than 0"),
        ({"customer_keys": {"a b": "x" * 32}}, "match pattern"),
        ({"customer_key": "3"}, "where there is none"),
    ],
)
def test_a_wrong_key_is_named_and_not_shown(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        load_settings(**wrong)
    assert "xxx" not in str(error.value)
    assert load_settings(customer_keys={"1": "x" * 32}).counting_rules().customer_key == "1"
