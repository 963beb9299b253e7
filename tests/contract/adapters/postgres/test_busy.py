"""A database that has no more to give: readers ask again for a while, and are told to come back."""

import pytest

from adapters.postgres.pool import Database
from core.errors import Code, TidingsError
from tests.helpers.loop import run

FAIL = """
    CREATE SEQUENCE asked;
    CREATE FUNCTION fail(code text, times bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE number bigint := nextval('asked');
        BEGIN
            IF number <= times THEN RAISE EXCEPTION USING ERRCODE = code; END IF;
            RETURN number;
        END
    $$
"""


class HandClock:
    """A clock that does not let its sleepers wait."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


@pytest.mark.parametrize("code", ["53000", "53100", "53200", "53300", "57P03"])
def test_a_read_that_the_database_has_no_means_for_is_asked_again_and_then_unavailable(
    database_url: str, code: str
) -> None:
    """Too many connections anywhere were an internal error of whoever read."""

    async def work() -> None:
        clock = HandClock()
        database = await Database.open(database_url, 2, clock=clock)
        try:
            for statement in FAIL.split(";", 1):
                await database.execute(statement)
            assert await database.fetchval("SELECT fail($1, 3)", code) == 4
            for read in (database.fetch, database.fetchrow, database.fetchval):
                with pytest.raises(TidingsError) as refused:
                    await read("SELECT fail($1, 1000)", code)
                assert refused.value.code is Code.UNAVAILABLE
            assert clock.slept_s > 5
            with pytest.raises(TidingsError) as refused:
                await database.execute("SELECT fail($1, 1000)", code)
            assert refused.value.code is Code.UNAVAILABLE
        finally:
            await database.close()

    run(work())
