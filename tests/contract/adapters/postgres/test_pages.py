"""A page says whether it was cut, whatever cut it."""

import pytest

from adapters.postgres.channels import ChannelReader
from adapters.postgres.codec import Page
from adapters.postgres.streams import LogReader
from core.streams.event import PUBLICATION_CREATED
from tests.helpers.log import LogWriter, database_at, make_organization
from tests.helpers.loop import run

RETENTION_DAYS = 30
COUNT = 5


async def filled(url: str) -> LogWriter:
    """Return the writer of a log with five events of two types in turn, each of about a kilobyte."""
    writer = LogWriter(await make_organization(url))
    types = ("room.created", PUBLICATION_CREATED)
    await writer.write(
        url, *(writer.event("a", data=b"x" * 1000, type=types[number % 2]) for number in range(COUNT))
    )
    return writer


def told(page: Page) -> tuple[int, bool]:
    return len(page.events), page.has_more


@pytest.mark.parametrize("types", [(), ("publication.*", "room.created")], ids=["all", "of types"])
def test_a_page_of_the_log_says_whether_more_can_be_read(database_url: str, types: tuple[str, ...]) -> None:
    async def work() -> None:
        org = (await filled(database_url)).organization_id
        async with database_at(database_url) as database:
            reader = LogReader(database, retention_days=RETENTION_DAYS)

            async def page(limit: int, bytes_max: int = 2**40, up_to_seq: int = COUNT) -> tuple[int, bool]:
                return told(
                    await reader.page(
                        org, after_seq=0, up_to_seq=up_to_seq, limit=limit, bytes_max=bytes_max, types=types
                    )
                )

            assert await page(COUNT - 1) == (COUNT - 1, True)
            assert await page(COUNT) == (COUNT, False)
            assert await page(COUNT + 1) == (COUNT, False)
            assert await page(COUNT, up_to_seq=COUNT - 1) == (COUNT - 1, False)
            assert await page(COUNT, bytes_max=1) == (1, True)
            # Data alone is below the limit, data and envelopes are not: the page was cut all the same.
            assert await page(COUNT, bytes_max=4_001) == (4, True)
            assert await page(COUNT, bytes_max=2**40) == (COUNT, False)
            nothing = await reader.page(org, after_seq=COUNT, up_to_seq=COUNT, limit=1, types=types)
            assert told(nothing) == (0, False)

    run(work())


@pytest.mark.parametrize("reverse", [False, True], ids=["oldest first", "newest first"])
def test_a_page_of_a_channel_says_whether_more_can_be_read(database_url: str, *, reverse: bool) -> None:
    async def work() -> None:
        org = (await filled(database_url)).organization_id
        async with database_at(database_url) as database:
            reader = ChannelReader(database, retention_days=RETENTION_DAYS)

            async def page(limit: int, bytes_max: int = 2**40, channel: str = "a") -> tuple[int, bool]:
                return told(
                    await reader.page(
                        org, channel, up_to_seq=COUNT, limit=limit, bytes_max=bytes_max, reverse=reverse
                    )
                )

            assert await page(COUNT - 1) == (COUNT - 1, True)
            assert await page(COUNT) == (COUNT, False)
            assert await page(COUNT, bytes_max=1) == (1, True)
            assert await page(COUNT, bytes_max=4_001) == (4, True)
            assert await page(COUNT, channel="never") == (0, False)

    run(work())
