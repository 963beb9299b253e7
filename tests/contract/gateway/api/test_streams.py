"""The organization's log over REST."""

from tests.helpers.loop import run
from tests.helpers.rest import rest_of


def test_the_log_is_read_page_by_page_oldest_first(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            for number in range(5):
                await api.post("/v1/rooms", {"name": str(number)})
                await api.post("/v1/channels/news/publications", {"data": number})
            path, seen = "/v1/events?limit=3", []
            page = (await api.get(path)).body
            seen += page["data"]
            while page["has_more"]:
                page = (await api.get(f"{path}&cursor={page['next_cursor']}")).body
                seen += page["data"]
            assert [event["seq"] for event in seen] == list(range(1, 11))
            assert {event["epoch"] for event in seen} == {page["epoch"]}
            assert page["seq"] == 10
            behind = (await api.get(f"/v1/events?after={page['epoch']}:8")).body
            assert [event["seq"] for event in behind["data"]] == [9, 10]
            assert (await api.get("/v1/events?after=10")).body["data"] == []

    run(scenario())


def test_types_choose_by_name_and_by_beginning(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            room = (await api.post("/v1/rooms", {"name": "A"})).body["id"]
            for number in range(4):
                await api.post("/v1/channels/news/publications", {"data": number})
            await api.call("PATCH", f"/v1/rooms/{room}", {"name": "B"})

            async def seqs(query: str) -> list[int]:
                page = (await api.get(f"/v1/events?{query}")).body
                found = [event["seq"] for event in page["data"]]
                while page["has_more"]:
                    page = (await api.get(f"/v1/events?{query}&cursor={page['next_cursor']}")).body
                    found += [event["seq"] for event in page["data"]]
                return found

            assert await seqs("types=room.*") == [1, 6]
            assert await seqs("types=room.created,publication.created&limit=2") == [1, 2, 3, 4, 5]
            assert await seqs("types=nothing.ever") == []
            for types in ("a,,b", "*", "a%20b", "a." * 60):
                answer = await api.get(f"/v1/events?types={types}")
                assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "types")

    run(scenario())


def test_a_position_of_another_log_is_refused_with_the_range(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            await api.post("/v1/rooms", {"name": "A"})
            epoch = (await api.get("/v1/events")).body["epoch"]
            for after in ("another:0", f"{epoch}:2", "2"):
                answer = await api.get(f"/v1/events?after={after}")
                assert (answer.status, answer.code) == (409, "epoch_changed")
                assert answer.body["readable"] == {
                    "epoch": epoch,
                    "first": f"{epoch}:0",
                    "last": f"{epoch}:1",
                }

    run(scenario())


def test_an_event_is_found_by_its_id_alone(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            created = await api.post("/v1/rooms", {"name": "A"})
            event_id = created.headers["tidings-position"].split('"')[1]
            event = (await api.get(f"/v1/events/{event_id}")).body
            assert event["data"]["object"] == created.body
            assert (event["object"], event["api_version"]) == ("event", "2026-11-22")
            for other in ("evt_00000000000000000000000000", "evt_x", "room_x"):
                assert (await api.get(f"/v1/events/{other}")).status == 404

    run(scenario())
