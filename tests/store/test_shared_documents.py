"""Tests of leased documents and of the registry of customers: one suite for those in memory and in Redis."""

import asyncio

import pytest

from streamer.store.memory_documents import MemoryRegistry
from streamer.store.port import TOKEN_BYTES, CustomerRegistry, LeasedDocument, TokenDocument
from streamer.store.redis import RedisRegistry

NOW = 1_790_000_000_000
LONG_MS = 60_000


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def registry(request: pytest.FixtureRequest, center: str) -> CustomerRegistry:
    in_memory = request.param == "memory"
    return MemoryRegistry() if in_memory else RedisRegistry(request.getfixturevalue("store"), center)


async def write(document: LeasedDocument, value: bytes) -> TokenDocument:
    written = await document.replace(await document.read(), value)
    assert written is not None
    return written


# Compare and set


async def test_a_document_is_absent_until_it_is_written(each_document: LeasedDocument) -> None:
    assert await each_document.read() is None
    written = await each_document.replace(None, b"\x00\xff\r\n")
    assert written is not None
    assert written.value == b"\x00\xff\r\n"
    assert len(written.token) == TOKEN_BYTES
    assert await each_document.read() == written


async def test_an_empty_document_is_not_an_absent_one(each_document: LeasedDocument) -> None:
    empty = await each_document.replace(None, b"")
    assert empty is not None
    assert await each_document.read() == empty
    assert await each_document.replace(None, b"other") is None
    assert await each_document.replace(empty, b"other") is not None


async def test_what_was_written_is_the_base_of_the_next_write(each_document: LeasedDocument) -> None:
    first = await each_document.replace(None, b"1")
    second = await each_document.replace(first, b"2")
    third = await each_document.replace(second, b"3")
    assert third is not None
    assert await each_document.read() == third
    assert third.value == b"3"


async def test_a_write_based_on_an_earlier_one_is_refused_and_writes_nothing(
    each_document: LeasedDocument,
) -> None:
    first = await write(each_document, b"1")
    second = await write(each_document, b"2")
    for before in (first, None, TokenDocument(bytes(TOKEN_BYTES), b"2")):
        assert await each_document.replace(before, b"3") is None
        assert await each_document.read() == second


async def test_a_write_based_on_a_document_that_never_was_is_refused(each_document: LeasedDocument) -> None:
    assert await each_document.replace(TokenDocument(bytes(TOKEN_BYTES), b""), b"1") is None
    assert await each_document.read() is None


async def test_the_same_value_written_again_is_a_change(each_document: LeasedDocument) -> None:
    first = await write(each_document, b"1")
    again = await write(each_document, b"1")
    assert again.token != first.token
    assert await each_document.replace(first, b"2") is None


async def test_of_many_who_write_at_once_one_is_first_and_none_is_lost(each_document: LeasedDocument) -> None:
    async def increase() -> int:
        refusals = 0
        while True:
            before = await each_document.read()
            await asyncio.sleep(0)  # lets others write between
            number = int(before.value) if before else 0
            if await each_document.replace(before, b"%d" % (number + 1)) is not None:
                return refusals
            refusals += 1

    refusals = await asyncio.gather(*(increase() for _ in range(8)))
    document = await each_document.read()
    assert document is not None
    assert document.value == b"8"
    assert sum(refusals) > 0


# Leases


async def test_a_lease_has_one_holder_who_may_renew_it(each_document: LeasedDocument) -> None:
    assert await each_document.acquire_lease("ana", LONG_MS)
    assert not await each_document.acquire_lease("ben", LONG_MS)
    assert await each_document.acquire_lease("ana", LONG_MS)
    assert not await each_document.acquire_lease("ben", LONG_MS)


async def test_a_lease_ends_by_itself_and_who_lost_it_does_not_get_it_back(
    each_document: LeasedDocument,
) -> None:
    assert await each_document.acquire_lease("ana", 50)
    await asyncio.sleep(0.1)
    assert await each_document.acquire_lease("ben", LONG_MS)
    assert not await each_document.acquire_lease("ana", LONG_MS)
    await each_document.release_lease("ana")
    assert not await each_document.acquire_lease("ana", LONG_MS)


async def test_a_renewed_lease_lasts_from_its_renewal(each_document: LeasedDocument) -> None:
    assert await each_document.acquire_lease("ana", 50)
    assert await each_document.acquire_lease("ana", LONG_MS)
    await asyncio.sleep(0.1)
    assert not await each_document.acquire_lease("ben", LONG_MS)


async def test_a_renewal_may_shorten_a_lease(each_document: LeasedDocument) -> None:
    assert await each_document.acquire_lease("ana", LONG_MS)
    assert await each_document.acquire_lease("ana", 50)
    await asyncio.sleep(0.1)
    assert await each_document.acquire_lease("ben", LONG_MS)


async def test_a_released_lease_is_free_at_once(each_document: LeasedDocument) -> None:
    await each_document.release_lease("ana")  # nobody has it
    assert await each_document.acquire_lease("ana", LONG_MS)
    await each_document.release_lease("ben")  # has it not
    assert not await each_document.acquire_lease("ben", LONG_MS)
    await each_document.release_lease("ana")
    assert await each_document.acquire_lease("ben", LONG_MS)


async def test_a_lease_does_not_guard_the_document(each_document: LeasedDocument) -> None:
    assert await each_document.acquire_lease("ana", LONG_MS)
    written = await write(each_document, b"of ben")
    await each_document.release_lease("ana")
    assert await each_document.read() == written


# The registry of customers


async def test_a_key_is_made_once(registry: CustomerRegistry) -> None:
    assert await registry.ensure_key(None) is None
    assert await registry.ensure_key(b"first") == b"first"
    assert await registry.ensure_key(b"second") == b"first"
    assert await registry.ensure_key(None) == b"first"


async def test_who_was_forgotten_stays_forgotten_since_the_first_time(registry: CustomerRegistry) -> None:
    assert await registry.forgotten() == {}
    assert await registry.forgotten_count() == 0
    await registry.forget(["~1~a"], NOW)
    await registry.forget(["~1~a", "~1~b"], NOW + 1)
    assert await registry.forgotten() == {"~1~a": NOW, "~1~b": NOW + 1}
    assert await registry.forgotten_count() == 2


async def test_the_forgotten_once_read_are_those_of_that_moment(registry: CustomerRegistry) -> None:
    await registry.forget(["~1~a"], NOW)
    before = await registry.forgotten()
    await registry.forget(["~1~b"], NOW)
    assert before == {"~1~a": NOW}
    before.clear()
    assert await registry.forgotten_count() == 2
