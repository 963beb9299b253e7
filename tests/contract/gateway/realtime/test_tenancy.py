"""Another organization's things are answered like things that never were, by every command of a socket.

Each probe is sent by two strangers who are alike: once with names that are ours, once with names that are
nobody's. Both answers must be the same, nothing of ours is shown, and what we publish meanwhile is heard by
us alone. A command that the codec knows and that has no probe fails.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import jwt
import msgspec
import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from core.auth.principal import Organization
from core.auth.scopes import ALL
from core.connections.codec_requests import CommandRequest
from core.ids import encode
from tests.helpers.loop import run
from tests.helpers.owners import publish
from tests.helpers.realtime import Realtimes, Speaker, realtime_of

Names = dict[str, str]
Heard = tuple[Any, ...]

BACK = {"recover": True, "epoch": "{epoch}"}
CHANNEL = {"channel": "{channel}"}
BAD_TOKEN, BAD_REQUEST = (3500, "invalid token"), (3501, "bad request")
BAD_DATA, NOT_AVAILABLE = 107, 108

PROBES: Final[dict[str, list[tuple[dict[str, Any], Any]]]] = {
    # In place of the id of an organization, one that never was; its tokens are the stranger's to sign.
    "connect": [({"token": "{stolen}"}, BAD_TOKEN)],
    "refresh": [({"token": "{user}"}, BAD_TOKEN), ({"token": "{stolen}"}, BAD_TOKEN)],
    "subscribe": [
        (CHANNEL, "subscribe"),
        ({"channel": "room:{channel}"}, "subscribe"),
        *(({**CHANNEL, **BACK, "offset": offset}, "subscribe") for offset in (0, 1, 2, 99)),
        ({**CHANNEL, **BACK, "offset": 1, "flag": 2}, 112),
        ({**CHANNEL, "recover": True, "offset": 1}, "subscribe"),
    ],
    "unsubscribe": [(CHANNEL, "unsubscribe")],
    "publish": [
        ({**CHANNEL, "data": "own"}, "publish"),
        ({**CHANNEL, "data": "secret", "idempotency_key": "{key}"}, "publish"),
        ({**CHANNEL, "data": "own", "idempotency_key": "{key}"}, "publish"),
    ],
    "history": [
        (CHANNEL, "history"),
        *(({**CHANNEL, "limit": 10, "reverse": reverse}, "history") for reverse in (False, True)),
        ({**CHANNEL, "limit": 10, "since": {"offset": 1, "epoch": "{epoch}"}}, 112),
        ({**CHANNEL, "limit": 10, "since": {"offset": 1, "epoch": ""}}, "history"),
    ],
    "presence": [(CHANNEL, NOT_AVAILABLE)],
    "presence_stats": [(CHANNEL, NOT_AVAILABLE)],
    "rpc": [
        ({"method": "read", "data": {"channel": "{channel}"}}, NOT_AVAILABLE),
        ({"method": "tidings.ack", "data": {"channel": "{channel}", "offset": 0}}, "rpc"),
        ({"method": "tidings.ack", "data": {"channel": "{channel}", "offset": 1}}, BAD_DATA),
    ],
    "send": [({"data": {"channel": "{channel}"}}, (3508, "not available"))],
    "sub_refresh": [({**CHANNEL, "token": "{user}"}, 103)],
    "ping": [({}, BAD_REQUEST)],
}


def served() -> set[str]:
    """Return the names of all commands that the codec knows."""
    return {field.name for field in msgspec.structs.fields(CommandRequest)} - {"id"}


def token_of(secret: bytes, organization_id: bytes) -> str:
    claims = {"sub": "42", "org": encode("org", organization_id), "exp": int(time.time()) + 3_600}
    return jwt.encode(claims, secret, algorithm="HS256")


class World:
    """Our organization with three publications and somebody who listens."""

    def __init__(self, system: Realtimes, listener: Speaker, epoch: str) -> None:
        self.system, self.listener = system, listener
        self._epoch = epoch
        self._org = system.organization.organization_id
        self.published = 3

    async def publish(self) -> None:
        self.published += 1
        await self.system.owner.submit(publish(self._org, "news", b'"secret"'))

    async def stranger(self) -> tuple[Organization, str]:
        other = await self.system.store.create_organization("other", "test")
        return other, (await self.system.store.create_key(other, "other", sorted(ALL)))[1]

    def ours(self, stranger: Organization) -> Names:
        return {
            "channel": "news",
            "epoch": self._epoch,
            "key": "order-1",
            "stolen": token_of(stranger.token_secret, self._org),
            "user": self.system.token("42", exp=int(time.time()) + 3_600),
        }

    def nobodys(self, stranger: Organization) -> Names:
        never = bytes(16)
        return {
            "channel": "olds",
            "epoch": "epochzero",
            "key": "order-0",
            "stolen": token_of(stranger.token_secret, never),
            "user": token_of(b"another secret of thirty-two bytes", never),
        }


@asynccontextmanager
async def world_of(database_url: str) -> AsyncIterator[World]:
    async with realtime_of(database_url) as system, Speaker(system.url, system.key) as listener:
        await listener.ask({"id": 2, "subscribe": {"channel": "news"}})
        for number, key in ((3, "order-1"), (4, ""), (5, "")):
            ask = {"channel": "news", "data": "secret", "idempotency_key": key}
            reply = (await listener.ask({"id": number, "publish": ask}))["publish"]
        yield World(system, listener, reply["epoch"])


def put(command: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return a command with the names in place."""
    text = re.sub(r"\{(\w+)\}", lambda match: names[match[1]], orjson.dumps(command).decode())
    filled: dict[str, Any] = orjson.loads(text)
    return filled


async def heard(speaker: Speaker, verb: str, command: dict[str, Any]) -> Heard:
    """Return the reply to a command, or the code that the connection is closed with."""
    number = {"id": 7} if verb != "send" else {}
    await speaker.say({**number, verb: command})
    try:
        while (line := await speaker.hear()).get("id") != 7:
            pass
    except ConnectionClosed:
        return await speaker.closed()
    return (line["error"]["code"] if "error" in line else verb, line)


def plain(answer: Heard, names: Names) -> str:
    """Return an answer with names by what they stand for, and the stranger's own epoch left out."""
    text = orjson.dumps(answer).decode()
    for name, value in names.items():
        text = text.replace(f'"{value}"', f'"<{name}>"')
    return re.sub(r'"epoch":"[^<"]+"', '"epoch":"<own>"', text)


def credential(verb: str, stranger: Organization, key: str) -> str:
    """Return what a stranger connects with: the connect command itself is sent bare."""
    if verb == "connect":
        return ""
    as_user = verb in ("refresh", "rpc")
    return token_of(stranger.token_secret, stranger.organization_id) if as_user else key


def test_every_command_is_probed() -> None:
    assert set(PROBES) == served()
    assert all(PROBES.values())


@pytest.mark.parametrize("verb", PROBES)
def test_what_is_ours_is_answered_like_what_never_was(database_url: str, verb: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            for command, expected in PROBES[verb]:
                answers = []
                for names_of in (world.ours, world.nobodys):
                    stranger, key = await world.stranger()
                    names = names_of(stranger)
                    token = credential(verb, stranger, key)
                    async with Speaker(world.system.url, token) as speaker:
                        answer = await heard(speaker, verb, put(command, names))
                        assert answer[0] == expected or answer == expected, (command, answer)
                        assert b"secret" not in orjson.dumps(answer)
                        await world.publish()
                        if verb == "subscribe" and expected == verb:
                            await hears_its_own_alone(world, speaker, stranger, command, names)
                        answers.append(plain(answer, names))
                assert answers[0] == answers[1], command
            publications = await world.listener.publications(world.published)
            assert {p["data"] for p in publications} == {"secret"}
            assert [p["offset"] for p in publications] == list(range(1, world.published + 1))

    run(scenario())


async def hears_its_own_alone(
    world: World, speaker: Speaker, stranger: Organization, command: dict[str, Any], names: Names
) -> None:
    """Publish in the stranger's channel, and check that this is what it hears."""
    channel = put(command, names)["channel"]
    await world.system.owner.submit(publish(stranger.organization_id, channel, b'"own"'))
    assert await speaker.publications(1) == [{"data": "own", "offset": 1}]


def test_a_connection_stays_in_the_organization_that_it_began_in(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            stranger, _ = await world.stranger()
            own = token_of(stranger.token_secret, stranger.organization_id)
            async with Speaker(world.system.url, own) as speaker:
                assert "refresh" in await speaker.ask({"id": 5, "refresh": {"token": own}})
                await speaker.ask({"id": 6, "subscribe": {"channel": "news"}})
                await world.publish()
                assert await heard(speaker, "refresh", {"token": world.ours(stranger)["user"]}) == BAD_TOKEN

    run(scenario())


def test_who_names_no_organization_is_in_the_default_one_and_signs_with_its_secret(database_url: str) -> None:
    async def scenario() -> None:
        async with world_of(database_url) as world:
            stranger, _ = await world.stranger()
            claims = {"sub": "42", "exp": int(time.time()) + 3_600}
            for secret, code in ((world.system.organization.token_secret, 0), (stranger.token_secret, 3500)):
                token = jwt.encode(claims, secret, algorithm="HS256")
                async with Speaker(world.system.url) as speaker:
                    answer = await heard(speaker, "connect", {"token": token})
                    assert answer[0] == (code or "connect")

    run(scenario())
