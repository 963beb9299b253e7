"""Stores that others run: those that answer, that come later, and that never will."""

import asyncio

import pytest

from adapters.embedded.errors import StartError
from cli.stores import DATABASE_WAIT_S, SilentError, await_database, reach_cache, reach_database, shown
from core.instants import Instant
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.relay import Relay

SILENT = "postgresql://u:hidden@127.0.0.1:1/x"


class HandClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.sleeps = asyncio.Event()

    def now(self) -> Instant:
        return Instant(0)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        self.sleeps.set()
        await asyncio.sleep(0)


def test_a_database_that_answers_is_not_waited_for(database_url: str) -> None:
    clock, said = HandClock(), list[str]()
    run(await_database(database_url, said.append, clock))
    assert clock.passed_s == 0


def test_a_silent_one_is_waited_for_and_that_is_said_once() -> None:
    clock, said = HandClock(), list[str]()
    with pytest.raises(SilentError, match="does not answer"):
        run(await_database(SILENT, said.append, clock))
    assert clock.passed_s == DATABASE_WAIT_S
    (sentence,) = said
    assert sentence.endswith("Waiting for it, up to 120 s.")
    assert "127.0.0.1:1/x" in sentence
    assert "hidden" not in sentence


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:hidden@h/x",
        "postgresql://u:hid/den@h/x",
        "postgresql://h:abc/x",
        "postgresql://[::1/x",
    ],
)
def test_a_malformed_one_fails_at_once(url: str) -> None:
    clock, said = HandClock(), list[str]()
    with pytest.raises(StartError, match=r"^DATABASE_URL can't be used") as raised:
        run(await_database(url, said.append, clock))
    assert not isinstance(raised.value, SilentError)
    assert "hid" not in str(raised.value)
    assert clock.passed_s == 0


def test_a_database_that_does_not_exist_fails_at_once(database_url: str) -> None:
    clock, said = HandClock(), list[str]()
    with pytest.raises(StartError, match=r"refuses it .* correct DATABASE_URL"):
        run(await_database(database_url.replace("/test_", "/no_test_"), said.append, clock))
    assert clock.passed_s == 0


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.stores.ANSWER_S", 0.2)

    async def scenario() -> None:
        async with Relay("127.0.0.1", free_port()) as relay:
            relay.stall()
            with pytest.raises(SilentError, match="does not answer"):
                await reach_database(f"postgresql://u@127.0.0.1:{relay.port}/x")

    run(scenario())


def test_a_cache_is_silent_or_can_not_be() -> None:
    with pytest.raises(SilentError, match="does not answer"):
        run(reach_cache(f"redis://:hidden@127.0.0.1:{free_port()}"))
    for url in ("nonsense", "http://h", "redis://h:abc"):
        with pytest.raises(StartError, match=r"^REDIS_URL can't be used"):
            run(reach_cache(url))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("postgresql://u:p@ss@h:5432/x?password=p", "h:5432/x"),
        ("redis://:p@h:6379/0", "h:6379/0"),
        ("postgresql://postgres@/tidings?host=/run", "/tidings"),
    ],
)
def test_no_password_is_shown(url: str, safe: str) -> None:
    assert shown(url) == safe
