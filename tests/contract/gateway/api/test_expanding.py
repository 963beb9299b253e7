"""References shown as objects: over a real socket, a real owner and a real database."""

from typing import Any

from tests.helpers.loop import run
from tests.helpers.rest import Rest, rest_of


async def thread(api: Rest) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Make a room with a message and an answer to it."""
    room = (await api.post("/v1/rooms", {"name": "Lobby"})).body
    first = (await api.post("/v1/messages", {"room_id": room["id"], "text": "hi"})).body
    reply = {"room_id": room["id"], "text": "hello", "reply_to": first["id"]}
    return room, first, (await api.post("/v1/messages", reply)).body


def test_an_object_stands_where_its_id_was(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            room, first, reply = await thread(api)
            path = f"/v1/messages/{reply['id']}"
            answer = await api.get(f"{path}?expand=room_id,reply_to.room_id", if_none_match='"r1"')
            assert answer.status == 200
            assert answer.body == {**reply, "room_id": room, "reply_to": {**first, "room_id": room}}
            assert list(answer.body) == list(reply)
            assert "etag" not in answer.headers
            assert (await api.get(f"{path}?expand=reply_to")).body == {**reply, "reply_to": first}
            plain = f"/v1/messages/{first['id']}"
            assert (await api.get(f"{plain}?expand=reply_to")).body == first

    run(scenario())


def test_a_list_shows_the_objects_of_every_entry_and_pages_on(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            room, first, reply = await thread(api)
            page = (await api.get("/v1/messages?expand=room_id&limit=1")).body
            assert page["data"] == [{**reply, "room_id": room}]
            rest = (await api.get(f"/v1/messages?expand=reply_to&cursor={page['next_cursor']}")).body
            assert rest["data"] == [first]

    run(scenario())


def test_what_is_shown_needs_its_own_scope(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            _, _, reply = await thread(api)
            key = await api.key_with("resources.message:read")
            path = f"/v1/messages/{reply['id']}?expand="
            assert (await api.call("GET", f"{path}reply_to", key=key)).status == 200
            for asked in ("room_id", "reply_to.room_id"):
                answer = await api.call("GET", path + asked, key=key)
                assert (answer.status, answer.code) == (403, "permission_denied")
                assert answer.body["required_scope"] == "resources.room:read"

    run(scenario())


def test_only_references_are_shown_and_only_to_readers(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            _, _, reply = await thread(api)
            path = f"/v1/messages/{reply['id']}"
            answer = await api.get(f"{path}?expand=text")
            assert (answer.status, answer.code) == (422, "validation_failed")
            answer = await api.call("PATCH", f"{path}?expand=room_id", {"text": "x"})
            assert (answer.status, answer.code) == (400, "unknown_parameter")

    run(scenario())
