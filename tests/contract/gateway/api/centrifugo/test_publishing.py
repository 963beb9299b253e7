"""`publish` and `broadcast`: what is delivered is what was sent, and a key has one effect."""

import asyncio
from base64 import b64encode
from typing import Any

import pytest

from actors.streams.owner import StreamOwner
from core.streams.command import Command
from core.streams.event import OPAQUE, WANTS_PATCH
from core.streams.outcome import Outcome
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.server_api import Heard, ServerApi, server_api_of

SHORT = {"history": "window", "history_size": 2, "history_ttl_s": 600}


async def history(api: ServerApi, channel: str = "a") -> list[Any]:
    page = await api.result("history", channel=channel, limit=-1)
    return list(page["publications"])


def test_a_publication_gets_its_position(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            first = await api.result("publish", channel="a", data={"x": 1}, tags={"k": "v"})
            second = await api.result("publish", channel="a", data=None)
            assert (first["offset"], second["offset"], first["epoch"]) == (1, 2, second["epoch"])
            assert await history(api) == [
                {"data": {"x": 1}, "offset": 1, "tags": {"k": "v"}}, {"data": None, "offset": 2},
            ]  # fmt: skip

    run(scenario())


def test_payloads_stay_the_bytes_that_came(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.post("/api/publish", b'{"channel":"a", "data" : { "b" :1.0,"a":[ ] } , "more":{}}')
            answer = await api.post("/api/history", {"channel": "a", "limit": 1})
            assert b'"data":{ "b" :1.0,"a":[ ] }' in answer.raw

    run(scenario())


def test_data_that_is_no_json_comes_and_goes_as_base64(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"raw": SHORT}) as api:
            encoded = b64encode(b"\x00\xff").decode()
            await api.result("publish", channel="raw:a", b64data=encoded, data="not this")
            await api.result("publish", channel="raw:a", b64data=b64encode(b'{"j":1}').decode())
            assert await history(api, "raw:a") == [
                {"b64data": encoded, "offset": 1}, {"data": {"j": 1}, "offset": 2},
            ]  # fmt: skip

    run(scenario())


def test_what_cannot_be_published_is_refused(database_url: str) -> None:
    refused: list[tuple[dict[str, Any], int]] = [
        ({"data": 1}, 107),
        ({"channel": "", "data": 1}, 107),
        ({"channel": "chat:a"}, 107),
        ({"channel": "chat:a", "b64data": ""}, 107),
        ({"channel": "nobody:a", "data": 1}, 102),
        ({"channel": "chat:" + "x" * 255, "data": 1}, 107),
        ({"channel": "chat:a", "data": "x" * 70_000}, 107),
        ({"channel": "chat:a", "data": 1, "tags": {"long": "x" * 70_000}}, 107),
        ({"channel": "json:a", "b64data": "/w=="}, 107),
    ]
    namespaces: dict[str, dict[str, Any]] = {"chat": {}, "json": {"publication_data_format": "json"}}

    async def scenario() -> None:
        async with server_api_of(database_url, namespaces) as api:
            for request, code in refused:
                assert await api.error("publish", **request) == code, request

    run(scenario())


def test_without_history_no_position_is_shown_and_the_log_keeps_it_all_the_same(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": {}}) as api:
            assert await api.result("publish", channel="chat:a", data=1) == {}
            assert (await api.rest.get("/v1/channels/chat:a/publications")).body["data"][0]["offset"] == 1

    run(scenario())


def test_what_skips_history_is_passed_on_and_not_kept(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            heard = Heard()
            api.rest.owner.watch(api.rest.organization.organization_id, heard)
            assert (
                await api.result("publish", channel="a", data=[1], tags={"k": "v"}, skip_history=True) == {}
            )
            assert await eventually(lambda: len(heard.ephemeral) == 1, within_s=5)
            only = heard.ephemeral[0]
            assert (only.channel, only.data, only.tags, only.kind) == ("a", b"[1]", {"k": "v"}, "")
            assert await history(api) == []

    run(scenario())


def test_wishes_travel_with_the_publication(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"raw": SHORT}) as api:
            heard = Heard()
            api.rest.owner.watch(api.rest.organization.organization_id, heard)
            await api.result("publish", channel="raw:a", b64data="/w==", delta=True, skip_history=True)
            assert await eventually(lambda: len(heard.ephemeral) == 1, within_s=5)
            assert heard.ephemeral[0].flags == WANTS_PATCH | OPAQUE

    run(scenario())


def test_a_key_gives_its_first_result_again_even_for_other_data(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            first = await api.result("publish", channel="a", data=1, idempotency_key="k")
            assert await api.result("publish", channel="a", data=2, idempotency_key="k") == first
            assert (await api.result("publish", channel="b", data=3, idempotency_key="k"))["offset"] == 1
            assert [entry["data"] for entry in await history(api)] == [1]

    run(scenario())


def test_publish_and_broadcast_share_the_keys_of_a_channel(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            first = await api.result("publish", channel="a", data=1, idempotency_key="k")
            answer = await api.result("broadcast", channels=["a", "b"], data=2, idempotency_key="k")
            assert answer["responses"][0] == {"result": first}
            assert answer["responses"][1]["result"]["offset"] == 1
            assert (
                await api.result("publish", channel="b", data=3, idempotency_key="k")
                == (answer["responses"][1]["result"])
            )

    run(scenario())


def test_these_keys_are_not_those_of_rest(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await api.result("publish", channel="a", data=1, idempotency_key="k")
            path = "/v1/channels/a/publications"
            answer = await api.rest.post(path, {"data": 2}, idempotency_key="k")
            assert (answer.status, answer.body["offset"]) == (201, 2)

    run(scenario())


def test_the_same_key_at_the_same_time_has_one_effect_and_one_answer(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            results = await asyncio.gather(
                *(api.result("publish", channel="a", data=n, idempotency_key="k") for n in range(20))
            )
            assert all(result == results[0] for result in results)
            assert len(await history(api)) == 1

    run(scenario())


def test_a_broadcast_succeeds_and_fails_channel_by_channel_in_the_order_asked_for(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url, {"chat": SHORT, "off": {}, "_": SHORT}) as api:
            channels = ["chat:a", "nobody:a", "off:a", "b", "", "chat:a"]
            answer = await api.result("broadcast", channels=channels, data={"x": 1})
            epoch = answer["responses"][0]["result"]["epoch"]
            assert answer["responses"] == [
                {"result": {"offset": 1, "epoch": epoch}},
                {"error": {"code": 102, "message": "unknown channel"}},
                {"result": {}},
                {"result": {"offset": 1, "epoch": epoch}},
                {"error": {"code": 107, "message": "bad request"}},
                {"result": {"offset": 2, "epoch": epoch}},
            ]

    run(scenario())


def test_a_broadcast_leaves_others_room_in_the_queues(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.centrifugo.publishing.PARALLEL_MAX", 3)
    original, under_way, most = StreamOwner.submit, 0, 0

    def submit(owner: StreamOwner, command: Command) -> asyncio.Future[Outcome]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        outcome = original(owner, command)
        outcome.add_done_callback(settled)
        return outcome

    def settled(_: object) -> None:
        nonlocal under_way
        under_way -= 1

    monkeypatch.setattr(StreamOwner, "submit", submit)

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            channels = [f"c{number}" for number in range(10)]
            answer = await api.result("broadcast", channels=channels, data=1, idempotency_key="k")
            assert [response["result"]["offset"] for response in answer["responses"]] == [1] * 10
            assert most == 3

    run(scenario())


def test_a_broadcast_to_many_channels_has_an_answer_for_each(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            answer = await api.result("broadcast", channels=[f"c{n}" for n in range(2500)], data=1)
            assert [response["result"]["offset"] for response in answer["responses"]] == [1] * 2500
            assert await api.error("broadcast", channels=["a"] * 10_001, data=1) == 107
            assert await api.error("broadcast", data=1) == 107
            assert await api.error("broadcast", channels=[], data=1) == 107

    run(scenario())


def test_a_version_that_is_not_above_the_last_is_suppressed(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:

            async def publish(data: str, version: int, epoch: str = "", channel: str = "a") -> int:
                request = {"channel": channel, "data": data, "version": version, "version_epoch": epoch}
                return int((await api.result("publish", **request))["offset"])

            assert [await publish(f"v{n}", n) for n in (5, 5, 4, 6)] == [1, 1, 1, 2]
            assert await publish("other epoch", 1, "e2") == 3
            assert await publish("again", 1, "e2") == 3
            assert await publish("no version", 0) == 4
            assert await publish("elsewhere", 1, "e2", "b") == 1
            answer = await api.result(
                "broadcast", channels=["a", "b", "c"], data=1, version=1, version_epoch="e2"
            )
            assert [response["result"]["offset"] for response in answer["responses"]] == [4, 1, 1]
            assert [entry["data"] for entry in await history(api)] == [
                "v5",
                "v6",
                "other epoch",
                "no version",
            ]
            assert await api.error("publish", channel="a", data=1, version=2**64 - 1) == 107
            for unnamed in ("\0", "e" * 256):
                request = {"channel": "a", "data": 1, "version": 9, "version_epoch": unnamed}
                assert await api.error("publish", **request) == 107

    run(scenario())


def test_versions_published_at_once_leave_the_newest(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            await asyncio.gather(
                *(api.result("publish", channel="a", data=n, version=n) for n in range(20, 0, -1))
            )
            published = [entry["data"] for entry in await history(api)]
            assert published == sorted(published)
            assert published[-1] == 20

    run(scenario())
