"""Where channels stand and what stands in them, never past the announced head."""

import asyncio
from typing import Any

import pytest

from adapters.postgres.channels import EMPTY, ChannelFloors, ChannelHead, ChannelReader
from core.channels.namespace import Options
from core.channels.visible import Visible
from core.streams.event import Event
from tests.helpers.log import LogWriter, database_at, make_days, make_organization
from tests.helpers.loop import run

RETENTION_DAYS = 30
LONG_S = 10**6


WHOLE, OFF = Options(history="whole"), Options()


def window(size: int, ttl_s: int) -> Options:
    return Options(history="window", history_size=size, history_ttl_s=ttl_s)


def offsets(events: list[Event], channel: str) -> list[int]:
    return [dict(event.entries)[channel] for event in events]


async def filled(url: str, *channels: str) -> LogWriter:
    """Return the writer of a new organization with one event in each of the channels named."""
    writer = LogWriter(await make_organization(url))
    await writer.write(url, *(writer.event(channel) for channel in channels))
    return writer


async def events_of(reader: ChannelReader, *where: Any, **page: Any) -> list[Event]:
    return (await reader.page(*where, **page)).events


def test_heads_do_not_count_what_is_above_the_announced_head(database_url: str) -> None:
    async def work() -> None:
        writer = await filled(database_url, "a", "a", "b", "a", "c")
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)

            async def at(up_to_seq: int) -> dict[str, ChannelHead]:
                return await reader.heads(
                    writer.organization_id, ["a", "b", "c", "never"], up_to_seq=up_to_seq
                )

            assert await at(5) == {
                "a": ChannelHead(1, 3), "b": ChannelHead(1, 1), "c": ChannelHead(1, 1), "never": EMPTY,
            }  # fmt: skip
            assert await at(3) == {
                "a": ChannelHead(1, 2), "b": ChannelHead(1, 1), "c": EMPTY, "never": EMPTY,
            }  # fmt: skip
            assert await at(0) == dict.fromkeys(["a", "b", "c", "never"], EMPTY)

    run(work())


def test_expired_entries_are_hidden_and_move_no_head(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 31, 40)
        org = await make_organization(database_url)
        old, today = LogWriter(org, days_back=40), LogWriter(org)
        await old.write(database_url, old.event("a"), old.event("a"), old.event("b"), old.event("b"))
        today.seq, today.offsets = old.seq, dict(old.offsets)
        await today.write(database_url, today.event("a"), today.event("a"))
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            heads = await reader.heads(org, ["a", "b"], up_to_seq=6)
            assert heads == {"a": ChannelHead(3, 4), "b": ChannelHead(3, 2)}
            assert (await reader.head(org, "a", up_to_seq=5)) == ChannelHead(3, 3)
            assert (await reader.head(org, "a", up_to_seq=4)) == ChannelHead(3, 2)
            events = await events_of(reader, org, "a", up_to_seq=6, limit=10)
            assert offsets(events, "a") == [3, 4]
            assert await events_of(reader, org, "b", up_to_seq=6, limit=10) == []
            backwards = await events_of(reader, org, "a", up_to_seq=6, limit=10, reverse=True)
            assert offsets(backwards, "a") == [4, 3]

    run(work())


def test_heads_asked_for_at_once_are_each_ones_own(database_url: str) -> None:
    async def work() -> None:
        one, two = await filled(database_url, "a"), await filled(database_url, "a", "a")
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            found = await asyncio.gather(
                *(reader.head(one.organization_id, "a", up_to_seq=9) for _ in range(50)),
                *(reader.head(two.organization_id, "a", up_to_seq=9) for _ in range(50)),
            )
            assert found == [ChannelHead(1, 1)] * 50 + [ChannelHead(1, 2)] * 50

    run(work())


def test_pages_forward_are_contiguous(database_url: str) -> None:
    async def work() -> None:
        writer = await filled(database_url, *["a", "b"] * 10)
        org = writer.organization_id
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            got: list[int] = []
            while page := await events_of(
                reader, org, "a", after_offset=got[-1] if got else 0, up_to_seq=15, limit=3
            ):
                assert len(page) <= 3
                got += offsets(page, "a")
            assert got == [1, 2, 3, 4, 5, 6, 7, 8]  # the entries 9 and 10 stand above the announced head

    run(work())


def test_pages_backward_go_down_from_the_offset_before(database_url: str) -> None:
    async def work() -> None:
        writer = await filled(database_url, *["a"] * 10)
        org = writer.organization_id
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            newest = await events_of(reader, org, "a", up_to_seq=8, limit=3, reverse=True)
            assert offsets(newest, "a") == [8, 7, 6]
            older = await events_of(reader, org, "a", before_offset=6, up_to_seq=8, limit=3, reverse=True)
            assert offsets(older, "a") == [5, 4, 3]

    run(work())


@pytest.mark.parametrize(("reverse", "expected"), [(False, [1, 2]), (True, [5, 4])])
def test_a_page_stops_at_its_bytes_but_is_never_empty_for_them(
    database_url: str, *, reverse: bool, expected: list[int]
) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        org = writer.organization_id
        await writer.write(database_url, *(writer.event("a", data=b"x" * 65_000) for _ in range(5)))
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            page = await events_of(reader, org, "a", up_to_seq=5, limit=5, bytes_max=100_000, reverse=reverse)
            assert offsets(page, "a") == expected
            page = await events_of(reader, org, "a", up_to_seq=5, limit=5, bytes_max=1, reverse=reverse)
            assert offsets(page, "a") == expected[:1]

    run(work())


def test_an_event_in_several_channels_is_one_event_with_all_its_entries(database_url: str) -> None:
    async def work() -> None:
        writer = LogWriter(await make_organization(database_url))
        event = writer.event("a", "b", "c")
        await writer.write(database_url, event)
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            for channel in ("a", "b", "c"):
                assert await events_of(reader, writer.organization_id, channel, up_to_seq=1, limit=10) == [
                    event
                ]

    run(work())


def test_what_is_visible_follows_the_options_and_ends_at_the_announced_head(database_url: str) -> None:
    async def work() -> None:
        writer = await filled(database_url, *["a"] * 5)
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)

            async def seen(options: Options, up_to_seq: int = 5, channel: str = "a") -> Visible:
                return await reader.visible(writer.organization_id, channel, options, up_to_seq=up_to_seq)

            assert await seen(WHOLE) == Visible(1, 5)
            assert await seen(OFF) == Visible(6, 5)
            assert await seen(window(2, LONG_S)) == Visible(4, 5)
            assert await seen(window(2, LONG_S), up_to_seq=3) == Visible(2, 3)
            assert await seen(window(0, LONG_S)) == Visible(6, 5)
            assert await seen(WHOLE, channel="never") == Visible(1, 0)

    run(work())


def test_each_publication_renews_the_time_of_those_before_it(database_url: str) -> None:
    async def work() -> None:
        await make_days(database_url, 3)
        org = await make_organization(database_url)
        old, today = LogWriter(org, days_back=3), LogWriter(org)
        await old.write(database_url, old.event("a"), old.event("a"))
        two_days = window(10, 2 * 86_400)
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            assert await reader.visible(org, "a", two_days, up_to_seq=9) == Visible(3, 2)
            today.seq, today.offsets = old.seq, dict(old.offsets)
            await today.write(database_url, today.event("a"))
            assert await reader.visible(org, "a", two_days, up_to_seq=9) == Visible(1, 3)

    run(work())


def test_what_was_removed_is_out_of_sight_and_stays_in_the_log(database_url: str) -> None:
    async def work() -> None:
        writer, other = await filled(database_url, *["a"] * 5), await filled(database_url, *["a"] * 5)
        org = writer.organization_id
        async with database_at(database_url) as database:
            reader, floors = ChannelReader(database, retention_days=RETENTION_DAYS), ChannelFloors(database)
            await floors.remove(org, "a", up_to_offset=4)
            await floors.remove(org, "a", up_to_offset=2)
            assert await reader.visible(org, "a", WHOLE, up_to_seq=5) == Visible(5, 5)
            assert await reader.visible(org, "a", WHOLE, up_to_seq=3) == Visible(4, 3)
            assert await reader.visible(other.organization_id, "a", WHOLE, up_to_seq=5) == Visible(1, 5)
            assert await reader.head(org, "a", up_to_seq=5) == ChannelHead(1, 5)
            assert len(await events_of(reader, org, "a", up_to_seq=5, limit=9)) == 5

    run(work())


def test_another_organization_sees_nothing(database_url: str) -> None:
    async def work() -> None:
        await filled(database_url, "a")
        stranger = await make_organization(database_url)
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)
            assert await reader.head(stranger, "a", up_to_seq=9) == EMPTY
            assert await events_of(reader, stranger, "a", up_to_seq=9, limit=9) == []

    run(work())
