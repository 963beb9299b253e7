"""Scripts: each says what it takes and gives, and is known by the digest that Redis gives it."""

import re
from pathlib import Path

import pytest

import adapters.redis
from adapters.redis.scripts import NAMES, call, digest, source
from tests.helpers.cache import cache_server
from tests.helpers.loop import run

LUA = Path(adapters.redis.__file__).parent / "lua"


def test_every_script_is_loaded_by_a_line() -> None:
    assert {path.stem for path in LUA.glob("*.lua")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_opens_with_keys_arguments_and_result(name: str) -> None:
    head = source(name).split("\n\n")[0]
    assert all(line.startswith("--") for line in head.splitlines())
    assert re.match(r"-- [A-Z].*\.\n--\n-- KEYS\[1\] ", head, re.DOTALL)
    assert "\n-- ARGV " in head
    assert "\n-- Result " in head


@pytest.mark.parametrize("name", NAMES)
def test_a_script_touches_no_key_but_those_that_it_is_given(name: str) -> None:
    named = re.findall(r"redis\.call\('[A-Z]+', ([\w\[\]]+)", source(name))
    given = {"channel", "clients", "index", "held", "tags", "told", "present", "occupied"}
    given |= {"KEYS[1]", "KEYS[2]", "KEYS[3]"}
    assert set(named) <= given


def test_redis_knows_a_script_by_the_same_digest() -> None:
    async def scenario() -> None:
        async with cache_server() as server:
            for name in NAMES:
                assert await server.ask("SCRIPT", "LOAD", source(name)) == digest(name).encode()

    run(scenario())


def test_a_call_names_its_keys_first() -> None:
    assert call("swept", ("a", "b"), "tag", 1) == ("EVALSHA", digest("swept"), 2, "a", "b", "tag", 1)
