"""Single commands, batches, and the former form of both."""

from typing import Any

import pytest

from tests.helpers.loop import run
from tests.helpers.server_api import server_api_of


def test_members_that_are_not_known_or_null_are_ignored(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            request: dict[str, Any] = {"channel": "a", "data": 1, "tags": None, "delta": None, "future": {}}
            assert (await api.result("publish", **request))["offset"] == 1
            answer = await api.post("/api/channels", b"null")
            assert answer.body["error"]["code"] == 100  # no cache here: it came as far as that

    run(scenario())


def test_no_method_was_added_to_call_by_rpc(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for request in ({"method": "x", "params": {}}, {}):
                assert (await api.post("/api/rpc", request)).body["error"]["code"] == 104

    run(scenario())


def test_a_batch_has_a_reply_for_each_command_in_order(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            commands: list[dict[str, Any]] = [
                {"publish": {"channel": "a", "data": 1}},
                {"broadcast": {"channels": ["b"], "data": 2}},
                {"publish": {"channel": "a"}},
                {"unsubscribe": {"user": "u"}},
                {"map_publish": {}},
                {"batch": {}},
                {},
                {"history": None},
            ]
            answer = await api.post("/api/batch", {"commands": commands})
            published = answer.body["replies"][0]["publish"]
            position = {"offset": 1, "epoch": published["epoch"]}
            unknown = {"error": {"code": 104, "message": "not found"}}
            bad = {"error": {"code": 107, "message": "bad request"}}
            assert answer.body == {
                "replies": [
                    {"publish": position},
                    {"broadcast": {"responses": [{"result": position}]}},
                    bad, {"unsubscribe": {}}, unknown, unknown, unknown, bad,
                ]
            }  # fmt: skip

    run(scenario())


def test_a_parallel_batch_keeps_the_order_of_its_replies(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            commands = [{"publish": {"channel": "a", "data": n}} for n in range(50)]
            answer = await api.post("/api/batch", {"commands": commands, "parallel": True})
            assert [reply["publish"]["offset"] for reply in answer.body["replies"]] == list(range(1, 51))
            page = await api.result("history", channel="a", limit=-1)
            assert [entry["data"] for entry in page["publications"]] == list(range(50))

    run(scenario())


@pytest.mark.parametrize("parallel", [False, True])
def test_what_a_batch_reads_is_limited_all_in_all(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, parallel: bool
) -> None:
    monkeypatch.setattr("gateway.api.centrifugo.methods.READ_BYTES_MAX", 100)

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            history = {"history": {"channel": "a", "limit": 10}}
            commands = [{"publish": {"channel": "a", "data": "x" * 99}}, *[history] * 3]
            await api.post("/api/batch", {"commands": commands[:1]})
            answer = await api.post(
                "/api/batch", {"commands": [*commands, commands[0]], "parallel": parallel}
            )
            kinds = [next(iter(reply)) for reply in answer.body["replies"]]
            assert kinds == ["publish", "history", "error", "error", "publish"]
            assert answer.body["replies"][2]["error"]["code"] == 111
            lines = b"\n".join(b'{"method":"history","params":{"channel":"a","limit":10}}' for _ in range(2))
            answer = await api.post("/api", lines)
            assert b'"code":111' in answer.raw.split(b"\n")[1]

    run(scenario())


def test_a_batch_that_cannot_be_read_has_no_effect(database_url: str) -> None:
    unreadable: list[dict[str, Any]] = [
        {"commands": [{"publish": {"channel": "a", "data": 1}}, {"publish": {"channel": 1}}]},
        {"commands": [{"publish": {"channel": "a", "data": 1}}, 1]},
        {"commands": {}},
        {"commands": [{}] * 10_001},
    ]

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for body in unreadable:
                assert (await api.post("/api/batch", body)).status == 400
            assert (await api.result("history", channel="a"))["offset"] == 0

    run(scenario())


def test_an_empty_batch_has_no_replies(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            assert (await api.post("/api/batch", {})).body == {"replies": []}

    run(scenario())


def test_the_former_form_has_a_line_for_each_line(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            body = (
                b'{"method":"publish","params":{"channel":"a","data":{ "x":1}}}\n'
                b'{"id":7,"method":"publish","params":{"channel":"a"}}\n\n'
                b'{"method":"nothing"}\n{"method":"unsubscribe"}'
            )
            answer = await api.post("/api", body)
            first, second, third, fourth = answer.raw.split(b"\n")
            assert first.startswith(b'{"result":{"offset":1,"epoch":"')
            assert second == b'{"id":7,"error":{"code":107,"message":"bad request"}}'
            assert third == b'{"error":{"code":104,"message":"not found"}}'
            assert fourth == b'{"result":{}}'

    run(scenario())


def test_a_line_that_cannot_be_read_stops_all(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for body in (b"\n", b'{"method":"publish","params":{"channel":"a","data":1}}\n{', b"[]"):
                assert (await api.post("/api", body)).status == 400
            assert (await api.result("history", channel="a"))["offset"] == 0

    run(scenario())
