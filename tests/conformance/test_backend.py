"""What an application's own backend is asked, and what becomes of its answers."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.backend import Backend, backend
from tests.conformance.kinds import KINDS, SOCKETS, Kind, Site
from tests.conformance.sdk import sdk
from tests.conformance.tenants import LIFETIME_S, Tenant, create, let_in
from tests.helpers.loop import run
from tests.helpers.running import Running

ASKED = {"subscribe_proxy": True, "publish_proxy": True, "history": "whole", "presence": True}
# So long that an SDK is in before, however slow the machine.
SHORT_S = 6
NAMES = {"javascript": "js", "python": "python", "go": "go"}
REAL, EMULATED = "X-Real", "X-Emulated"
SEES = {"allow_presence_for_subscriber": True}


@pytest.fixture(scope="module")
def asked() -> Iterator[Backend]:
    """Give the backend of all of these tests."""
    with backend() as found:
        yield found


@pytest.fixture(scope="module")
def owner(system: Running, asked: Backend) -> Iterator[Tenant]:
    """Give its organization, which is that of those who bring no credential, too."""
    made = create(system, "backend")
    made.has_namespaces(asked={**ASKED, **SEES})
    headers = {"http_headers": [REAL], "emulated_headers": [EMULATED]}
    made.rest(
        "PUT", "/v1/organization/backend", {"endpoints": asked.endpoints, **headers, "timeout_ms": 30_000}
    )
    with made.as_default():
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_left(asked: Backend) -> None:
    asked.answers.clear()
    while not asked.asked.empty():
        asked.asked.get_nowait()


def test_rpc_is_answered_by_the_backend(owner: Tenant, asked: Backend, site: Site, kind: Kind) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, owner.token("ann")) as client:
            connected = await client.last("connected")
            asked.answers["rpc"] = {"result": {"data": {"sum": 3, "text": "ü"}}}
            assert await client.call("rpc", method="add", data=[1, 2]) == {"data": {"sum": 3, "text": "ü"}}
            question = asked.next("rpc")
            assert (question["method"], question["data"], question["user"]) == ("add", [1, 2], "ann")
            assert (question["client"], question["transport"]) == (connected["client"], kind.transport)
            assert question["encoding"] == "json"
            assert question["protocol"] == ("protobuf" if kind.protobuf else "json")
            asked.answers["rpc"] = {"error": {"code": 404, "message": "no such method"}}
            assert await client.refusal("rpc", method="other", data={}) == 404
            asked.answers["rpc"] = {"disconnect": {"code": 4501, "reason": "go"}}
            await client.refusal("rpc", method="end", data={})
            ended = await client.last("disconnected")
            assert (ended["code"], ended["reason"]) == (4501, "go")

    run(conversation())


# The Python SDK has no `send`.
@pytest.mark.parametrize("kind", [one for one in KINDS if one.sdk != "python"], ids=lambda kind: kind.name)
def test_a_message_reaches_the_backend(owner: Tenant, asked: Backend, site: Site, kind: Kind) -> None:
    async def conversation() -> None:
        async with sdk(kind, site, owner.token("ann")) as client:
            await client.heard("connected")
            await client.call("send", data={"typing": True})
            question = asked.next("message")
            assert (question["data"], question["user"]) == ({"typing": True}, "ann")

    run(conversation())


def test_the_backend_judges_subscribes_and_publishes(
    owner: Tenant, asked: Backend, site: Site, socket: Kind, name: str
) -> None:
    channel = f"asked:{name}"

    async def conversation() -> None:
        async with sdk(socket, site, owner.token("ann")) as client:
            asked.answers["subscribe"] = {"error": {"code": 403, "message": "not for you"}}
            await client.call("subscribe", channel=f"{channel}-not")
            assert (await client.last("unsubscribed"))["code"] == 403
            assert asked.next("subscribe")["channel"] == f"{channel}-not"
            asked.answers["subscribe"] = {"result": {"info": {"role": "host"}, "data": {"hello": "ann"}}}
            subscribed = await client.subscribed(channel, data={"why": "because"})
            assert subscribed["data"] == {"hello": "ann"}
            assert asked.next("subscribe")["data"] == {"why": "because"}
            shown = (await client.call("presence", channel=channel))["clients"].values()
            assert [one["chan_info"] for one in shown] == [{"role": "host"}]
            asked.answers["publish"] = {"result": {"data": {"n": 2}}}
            await client.call("publish", channel=channel, data={"n": 1})
            assert (await client.last("publication"))["data"] == {"n": 2}
            assert asked.next("publish")["data"] == {"n": 1}
            asked.answers["publish"] = {"error": {"code": 403, "message": "not for you"}}
            assert await client.refusal("publish", channel=channel, data={"n": 1}) == 403

    run(conversation())


def test_the_backend_lets_those_in_who_bring_no_token(
    owner: Tenant, asked: Backend, site: Site, kind: Kind, name: str
) -> None:
    channel = f"asked:{name}"

    async def conversation() -> None:
        asked.answers["connect"] = {
            "result": {
                "user": "ann",
                "data": {"hello": "ann"},
                "info": {"name": "Ann"},
                "channels": [channel],
            }
        }
        await let_in(owner.system, "asked:1")
        while not asked.asked.empty():
            asked.asked.get_nowait()
        # JavaScript can't set headers, and writes them into its connect instead.
        header = EMULATED if kind.sdk == "javascript" else REAL
        async with sdk(kind, site, data={"why": "because"}, headers={header: "yes"}) as client:
            assert (await client.last("connected"))["data"] == {"hello": "ann"}
            question = asked.next("connect")
            assert (question["data"], question["name"]) == ({"why": "because"}, NAMES[kind.sdk])
            assert asked.headers[header] == "yes"
            await client.heard("server subscribed", channel=channel)
            shown = (await client.call("presence", channel=channel))["clients"].values()
            assert [(one["user"], one["conn_info"]) for one in shown] == [("ann", {"name": "Ann"})]
        asked.answers["connect"] = {"disconnect": {"code": 4503, "reason": "not you"}}
        async with sdk(kind, site) as client:
            ended = await client.last("disconnected")
            assert (ended["code"], ended["reason"]) == (4503, "not you")

    run(conversation())


@pytest.mark.parametrize("kind", [SOCKETS[0], SOCKETS[-1]], ids=lambda kind: kind.name)
def test_the_backend_prolongs_the_connections_that_it_let_in(
    owner: Tenant, asked: Backend, site: Site, kind: Kind
) -> None:
    def welcome(lives_s: int) -> dict[str, Any]:
        return {"result": {"user": "ann", "expire_at": int(time.time()) + lives_s}}

    async def conversation() -> None:
        asked.answers["connect"] = welcome(LIFETIME_S)
        await let_in(owner.system, "asked:1")
        while not asked.asked.empty():
            asked.asked.get_nowait()
        asked.answers |= {"connect": welcome(SHORT_S), "refresh": welcome(2 * SHORT_S)}
        async with sdk(kind, site) as client:
            await client.heard("connected")
            asked.next("connect")
            assert (await asyncio.to_thread(asked.next, "refresh"))["user"] == "ann"
            asked.answers |= {"connect": welcome(LIFETIME_S), "refresh": {"result": {"expired": True}}}
            await asyncio.to_thread(asked.next, "refresh")
            assert (await client.last("connecting", 2))["code"] == 3005
            await client.heard("connected", 2)

    run(conversation())
