"""Another organization's ids are answered like ids that never existed, on every route."""

from tests.helpers.loop import run
from tests.helpers.rest import Answer, rest_of


def alike(foreign: Answer, missing: Answer) -> None:
    """Check that two answers differ in nothing but what names the request."""
    own = {"instance", "request_id"}
    assert foreign.status == missing.status
    assert {k: v for k, v in foreign.body.items() if k not in own} == {
        k: v for k, v in missing.body.items() if k not in own
    }
    named = {"Request-Id", "Date", "Content-Length"}
    assert {k: v for k, v in foreign.headers.items() if k.title() not in named} == {
        k: v for k, v in missing.headers.items() if k.title() not in named
    }


def test_no_route_shows_or_changes_what_is_anothers(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            _, stranger = await api.another()
            room = (await api.call("PUT", "/v1/rooms/ext:mine", {"name": "secret"})).body
            text = {"room_id": room["id"], "text": "secret"}
            message = (await api.post("/v1/messages", text)).body
            await api.post("/v1/channels/news/publications", {"data": "secret"})
            event_id = (await api.get("/v1/events")).body["data"][0]["id"]
            nobody = room["id"][:-4] + "0000"

            for method, body in (
                ("GET", None),
                ("PUT", {"name": "x"}),
                ("PATCH", {"name": "x"}),
                ("DELETE", None),
            ):
                foreign = await api.call(method, f"/v1/rooms/{room['id']}", body, key=stranger)
                alike(foreign, await api.call(method, f"/v1/rooms/{nobody}", body, key=stranger))
                assert foreign.status == 404
            alike(
                await api.call("GET", f"/v1/events/{event_id}", key=stranger),
                await api.call("GET", f"/v1/events/{event_id[:-4]}0000", key=stranger),
            )
            assert (await api.call("GET", "/v1/rooms/ext:mine", key=stranger)).status == 404
            for path in ("/v1/rooms", "/v1/messages", "/v1/events", "/v1/channels/news/publications"):
                assert (await api.call("GET", path, key=stranger)).body["data"] == []
            for query in (f"room_id={room['id']}", "room_id=ext:mine"):
                assert (await api.call("GET", f"/v1/messages?{query}", key=stranger)).body["data"] == []

            for reference in (room["id"], "ext:mine"):
                taken = {"room_id": reference, "text": "x"}
                refused = await api.call("POST", "/v1/messages", taken, key=stranger)
                assert (refused.status, refused.body["errors"][0]["code"]) == (422, "not_found")
                batch = await api.call("POST", "/v1/messages/batch", {"items": [taken]}, key=stranger)
                assert batch.body["results"][0]["status"] == 422
            reply = {"room_id": room["id"], "text": "x", "reply_to": message["id"]}
            assert (await api.call("POST", "/v1/messages", reply, key=stranger)).status == 422

            # The same names are the stranger's own, and leave ours alone.
            theirs = await api.call("PUT", "/v1/rooms/ext:mine", {"name": "theirs"}, key=stranger)
            assert theirs.status == 201
            own = await api.call("POST", "/v1/channels/news/publications", {"data": 1}, key=stranger)
            assert (own.body["offset"], own.body["seq"]) == (1, 2)
            assert (await api.get("/v1/rooms/ext:mine")).body["name"] == "secret"
            assert (await api.get("/v1/channels/news/publications")).body["offset"] == 1

    run(scenario())
