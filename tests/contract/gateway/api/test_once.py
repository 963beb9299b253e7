"""Writes that the log does not make: under one key they have one effect and one answer, too."""

from typing import Any

from tests.helpers.loop import run
from tests.helpers.rest import Answer, rest_of

NAMESPACE, ORGANIZATION, KEYS = (
    "/v1/channel_namespaces/chat",
    "/v1/organization",
    "/v1/organization/token_keys",
)
MAY_DIFFER = ("request-id", "date", "idempotent-replayed")


def told(answer: Answer) -> tuple[Any, ...]:
    """Return all of an answer that a repeat has to tell again."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status, {k: v for k, v in headers.items() if k not in MAY_DIFFER}, answer.raw


def test_a_repeat_is_told_the_first_answer_whatever_stands_there_by_now(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            etag = (await api.get(ORGANIZATION)).headers["etag"]
            writes: list[tuple[str, str, Any, dict[str, str]]] = [
                ("PUT", NAMESPACE, {}, {"if_none_match": "*"}),
                ("PATCH", NAMESPACE, {"presence": True}, {"if_match": '"r1"'}),
                ("DELETE", NAMESPACE, None, {}),
                ("PATCH", ORGANIZATION, {"name": "new"}, {"if_match": etag}),
                ("PUT", KEYS, {"hmac_secret": "old"}, {}),
            ]

            async def answers() -> list[Answer]:
                return [
                    await api.call(method, path, body, idempotency_key=f"k{place}", **headers)
                    for place, (method, path, body, headers) in enumerate(writes)
                ]

            first = await answers()
            assert [answer.status for answer in first] == [201, 200, 200, 200, 200]
            assert not any("idempotent-replayed" in answer.headers for answer in first)
            assert (await api.call("PUT", NAMESPACE, {"presence": True})).status == 201
            assert (await api.call("PATCH", ORGANIZATION, {"name": "another"})).status == 200
            again = await answers()
            assert list(map(told, again)) == list(map(told, first))
            assert {answer.headers["idempotent-replayed"] for answer in again} == {"true"}
            assert (await api.get(NAMESPACE)).body["presence"]
            assert (await api.get(ORGANIZATION)).body["name"] == "another"

    run(scenario())


def test_what_was_refused_for_what_stood_there_is_refused_again(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            gone = await api.call("DELETE", NAMESPACE, idempotency_key="d")
            stale = await api.call("PATCH", ORGANIZATION, {"name": "n"}, if_match='"r9"', idempotency_key="p")
            assert (gone.status, stale.status) == (404, 412)
            assert (await api.call("PUT", NAMESPACE, {})).status == 201
            again = await api.call("DELETE", NAMESPACE, idempotency_key="d")
            assert (again.raw, again.headers["idempotent-replayed"]) == (gone.raw, "true")
            again = await api.call("PATCH", ORGANIZATION, {"name": "n"}, if_match='"r9"', idempotency_key="p")
            assert again.raw == stale.raw
            assert (await api.get(NAMESPACE)).status == 200

    run(scenario())


def test_what_was_not_valid_uses_up_no_key_and_what_was_does(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            answers = [
                await api.call("PUT", NAMESPACE, body, idempotency_key="k")
                for body in ({"presence": 1}, {"presence": True}, {})
            ]
            assert [answer.status for answer in answers] == [422, 201, 422]
            assert [answers[0].code, answers[2].code] == ["validation_failed", "idempotency_mismatch"]
            assert (
                await api.post("/v1/channels/a/publications", {"data": 1}, idempotency_key="k")
            ).status == 422
            key = (await api.another())[1]
            assert (await api.call("PUT", NAMESPACE, {}, key=key, idempotency_key="k")).status == 201

    run(scenario())
