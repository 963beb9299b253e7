"""What a replica tells of its clients: each step, in batches, and everything anew after any doubt."""

from typing import Any

import pytest

from core.channels.filter import FilterNode
from core.connections.codes import FORCE_DISCONNECT
from core.connections.journey import Came, Ended, Left, Paged, Refused, Step, Subscribed, WentLive
from core.connections.orders import Disconnect, Unsubscribe, Who
from core.connections.verdict import Publication, judge
from core.streams.event import Event
from gateway.realtime.chronicle import RETELL_PAUSE_S
from gateway.realtime.client import Client
from settings import Journeys
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting
from tests.helpers.memory_log import EPOCH
from tests.helpers.replica import say, token_of, turns

A = "loud:a"


class Told(Meeting):
    """A replica in memory and what is remembered of its clients."""

    def __init__(self, *, journeys: dict[str, Any] | None = None, **of: Any) -> None:
        super().__init__(journeys=Journeys(**(journeys or {})), **of)

    async def flush(self, after_s: float = 1.0) -> None:
        self.replica.clock.seconds += after_s
        await self.replica.chronicle.flush()

    async def steps_of(self, client: Client) -> list[Step]:
        await self.flush()
        return self.replica.journeys.steps.get(client.client_id, [])

    def verdict(self, client: Client, event: Event) -> str:
        ((channel, offset),) = event.entries
        publication = Publication(channel, offset, EPOCH, event)
        return judge(publication, self.replica.journeys.of(client), doubt_s=33.0).verdict.value

    async def end(self) -> None:
        await self.replica.chronicle.close()
        await self.replica.tasks.close()


def kinds(steps: list[Step]) -> list[type[Step]]:
    return [type(step) for step in steps]


def test_a_connection_is_told_from_its_beginning_to_its_end() -> None:
    async def scenario() -> None:
        meeting = Told()
        for _ in range(3):
            meeting.log.publish(A)
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        meeting.log.publish(A)
        await turns(2)
        say(client, {"unsubscribe": {"channel": A}})
        await meeting.settle()
        meeting.replica.clock.seconds += 5
        client.lost()
        came, began, live, left, ended = await meeting.steps_of(client)
        assert came == Came(0, client.client_id, "ann", "websocket", "node", "node.0")
        assert began == Subscribed(0, A, EPOCH, 3, 3)
        assert live == WentLive(0, A, 3)
        assert left == Left(0, A, 4)
        assert ended == Ended(5_000_000, 0, "", {})
        await meeting.end()

    run(scenario())


def test_steps_of_a_tick_leave_in_one_round_trip() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"batch_connections_max": 3})
        for number in range(4):
            await meeting.subscribed(A, token=token_of(f"user{number}"))
        await meeting.flush()
        assert meeting.replica.journeys.writes == [3, 1]
        await meeting.flush()
        assert meeting.replica.journeys.writes == [3, 1]
        assert list(meeting.replica.journeys.told) == ["node.0"]
        await meeting.end()

    run(scenario())


def test_what_a_client_misses_is_told_page_by_page() -> None:
    async def scenario() -> None:
        meeting = Told()
        events = [meeting.log.publish(A) for _ in range(7)]
        client, _ = await meeting.connect(token=token_of("ann"))
        say(client, {"subscribe": {"channel": A, "recover": True, "offset": 1, "epoch": EPOCH}})
        await meeting.settle()
        _, began, *pages, live = await meeting.steps_of(client)
        assert began == Subscribed(0, A, EPOCH, 1, 2, was_recovering=True, recovered=True)
        assert pages == [Paged(0, A, offset) for offset in (3, 4, 5, 6, 7)]
        assert live == WentLive(0, A, 7)
        told = [meeting.verdict(client, event) for event in events]
        assert told == ["subscribed_later", *["delivered"] * 6]
        await meeting.end()

    run(scenario())


def test_the_terms_of_a_subscription_are_told() -> None:
    async def scenario() -> None:
        meeting = Told()
        tags = {"key": "colour", "cmp": "eq", "val": "red"}
        client, _ = await meeting.connect(token=token_of("ann"))
        say(client, {"subscribe": {"channel": A, "delta": "fossil"}})
        say(client, {"subscribe": {"channel": "b", "tf": tags, "max_rate": 2}})
        await meeting.settle()
        began = [step for step in await meeting.steps_of(client) if isinstance(step, Subscribed)]
        node = FilterNode(key="colour", cmp="eq", val="red")
        terms = {step.channel: (step.delta, step.max_rate, step.filter) for step in began}
        assert terms == {A: (True, 0.0, None), "b": (False, 2.0, node)}
        await meeting.end()

    run(scenario())


def test_server_side_subscriptions_are_told() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.connect(token=token_of("ann", channels=[A]))
        await meeting.settle()
        steps = await meeting.steps_of(client)
        assert kinds(steps) == [Came, Subscribed, WentLive]
        assert isinstance(steps[1], Subscribed)
        assert steps[1].is_server_side
        await meeting.end()

    run(scenario())


@pytest.mark.parametrize("channel", [A, ""])
def test_whom_the_server_sends_away_left_once(channel: str) -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.subscribed(A, "loud:b", token=token_of("ann"))
        meeting.log.publish(A)
        await turns(2)
        meeting.replica.order(Unsubscribe(Who("ann"), channel, 2000))
        await meeting.settle()
        left = [step for step in await meeting.steps_of(client) if isinstance(step, Left)]
        assert left == [Left(0, A, 1, 2000), Left(0, "loud:b", 0, 2000)][: 1 if channel else 2]
        await meeting.end()

    run(scenario())


def test_an_end_says_what_had_been_written() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.subscribed(A, "loud:b", token=token_of("ann"))
        written = meeting.log.publish(A)
        await turns(2)
        late = meeting.log.publish(A)  # in the same tick as the end: it is not written any more
        meeting.replica.order(Disconnect(Who("ann"), FORCE_DISCONNECT, "go away"))
        assert (await meeting.steps_of(client))[-1] == Ended(0, 3503, "go away", {A: 1, "loud:b": 0})
        assert meeting.verdict(client, written) == "delivered"
        assert meeting.verdict(client, late) == "disconnected_before"
        client.lost()
        assert (await meeting.steps_of(client)).count(Ended(0, 3503, "go away", {A: 1, "loud:b": 0})) == 1
        assert type((await meeting.steps_of(client))[-1]) is Ended
        await meeting.end()

    run(scenario())


def test_refusals_are_told() -> None:
    async def scenario() -> None:
        meeting = Told(channels_max=3)
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        bad = {"channel": "loud:c", "token": "no token"}
        gone = {"channel": "loud:d", "recover": True, "offset": 9, "epoch": EPOCH, "flag": 2}
        say(client, *({"subscribe": subscribe} for subscribe in ({"channel": A}, bad, gone)))
        await meeting.settle()
        say(client, *({"subscribe": {"channel": f"loud:{name}"}} for name in "efg"))
        await meeting.settle()
        refused = [step for step in await meeting.steps_of(client) if isinstance(step, Refused)]
        assert {(step.channel, step.code) for step in refused} == {
            (A, 105),
            ("loud:c", 103),
            ("loud:d", 112),
            ("loud:g", 106),
        }
        await meeting.end()

    run(scenario())


def test_a_connect_that_fails_is_told() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, socket = await meeting.connect(token=token_of("ann", channels=[A]))
        await turns(20)
        while meeting.log.gate.open(0, well=False):
            await turns(5)
        assert socket.reply(1)["error"]["code"] == 100
        assert (await meeting.steps_of(client))[1:] == [Refused(0, "", 100)]
        assert meeting.replica.journeys.of(client).status == "refused"
        client.lost()
        await meeting.end()

    run(scenario())


def test_who_never_came_in_is_not_told_of() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, socket = await meeting.connect(token="none")  # noqa: S106 (it is none)
        assert socket.codes == [3500]
        client.lost()
        assert await meeting.steps_of(client) == []
        assert meeting.replica.journeys.writes == []
        await meeting.end()

    run(scenario())


def test_after_a_doubt_all_are_told_of_anew() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"batch_connections_max": 2})
        clients = [(await meeting.subscribed(A, token=token_of(f"user{n}")))[0] for n in range(5)]
        quiet, _ = await meeting.connect(token=token_of("quiet"))
        await meeting.flush()
        first = meeting.log.publish(A)
        await turns(2)
        meeting.replica.journeys.is_away = True
        clients[0].lost()
        await meeting.flush()
        clients[1].lost()  # nobody can be told
        meeting.replica.journeys.is_away = False
        await meeting.flush()
        chronicle = meeting.replica.chronicle
        assert (chronicle.dropped, list(meeting.replica.journeys.told)) == (1, ["node.0", "node.1"])
        at = meeting.replica.clock.now()
        came = Came(at, clients[2].client_id, "user2", "websocket", "node", "node.1", is_retold=True)
        began = Subscribed(at, A, EPOCH, 1, 1)
        assert await meeting.steps_of(clients[2]) == [came, began, WentLive(at, A, 1)]
        assert kinds(await meeting.steps_of(quiet)) == [Came]
        second = meeting.log.publish(A)
        await meeting.flush()
        assert [meeting.verdict(clients[2], event) for event in (first, second)] == ["unknown", "delivered"]
        gone = meeting.replica.journeys.of(clients[1])
        assert (gone.came.tag, gone.told_until) == ("node.0", 1_000_000)
        await meeting.end()

    run(scenario())


def test_they_are_not_told_of_anew_all_the_time() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        meeting.replica.journeys.is_away = True
        await meeting.flush()
        await meeting.flush()  # it tries, and fails
        meeting.replica.journeys.is_away = False
        await meeting.flush(RETELL_PAUSE_S - 2)
        assert await meeting.steps_of(client) == []
        await meeting.flush(2)
        assert kinds(await meeting.steps_of(client)) == [Came, Subscribed, WentLive]
        await meeting.end()

    run(scenario())


def test_when_the_cache_was_emptied_all_are_told_of_anew() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        await meeting.flush()
        meeting.replica.journeys.steps.clear()
        meeting.replica.journeys.told.clear()
        await meeting.flush()
        assert kinds(await meeting.steps_of(client)) == [Came, Subscribed, WentLive]
        assert list(meeting.replica.journeys.told) == ["node.0", "node.1"]
        await meeting.flush()
        assert meeting.replica.journeys.writes == [1, 1]
        await meeting.end()

    run(scenario())


def test_with_too_much_waiting_all_is_dropped_and_made_up_for() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"pending_steps_max": 4})
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        other, _ = await meeting.subscribed(A, token=token_of("bob"))
        assert meeting.replica.chronicle.dropped == 4
        assert kinds(await meeting.steps_of(client)) == [Came, Subscribed, WentLive]
        again = await meeting.steps_of(other)
        assert (kinds(again), isinstance(again[0], Came) and again[0].is_retold) == (
            [Came, Subscribed, WentLive],
            True,
        )
        await meeting.end()

    run(scenario())


def test_one_client_that_does_much_brings_nobody_into_doubt() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"pending_steps_max": 20, "steps_max": 10})
        busy, _ = await meeting.connect(token=token_of("busy"))
        ann, _ = await meeting.connect(token=token_of("ann"))
        for number in range(50):
            say(busy, {"subscribe": {"channel": f"$closed:{number}"}})
            await turns(1)
        assert [type(step) for step in await meeting.steps_of(ann)] == [Came]
        came, *refused = await meeting.steps_of(busy)
        assert isinstance(came, Came)
        assert [step.channel for step in refused if isinstance(step, Refused)] == [
            f"$closed:{number}" for number in range(40, 50)
        ]
        assert meeting.replica.chronicle.dropped == 0
        await meeting.end()

    run(scenario())


def test_a_client_that_is_catching_up_is_told_of_anew_when_it_is_live() -> None:
    async def scenario() -> None:
        meeting = Told()
        meeting.log.publish(A)
        meeting.replica.journeys.is_away = True
        await meeting.flush()
        meeting.replica.journeys.is_away = False
        client, _ = await meeting.connect(token=token_of("ann"))
        say(client, {"subscribe": {"channel": A}})
        await turns(5)
        assert await meeting.steps_of(client) == []
        await meeting.settle()
        assert kinds(await meeting.steps_of(client)) == [Came, Subscribed, WentLive]
        await meeting.end()

    run(scenario())


def test_those_who_are_there_are_remembered_and_the_forgotten_told_of_anew() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"kept_s": 90, "batch_connections_max": 1})
        kept, _ = await meeting.subscribed(A, token=token_of("ann"))
        lost, _ = await meeting.subscribed(A, token=token_of("bob"))
        await meeting.flush()
        meeting.replica.journeys.writes.clear()
        del meeting.replica.journeys.steps[lost.client_id]
        busy, _ = await meeting.subscribed(A, token=token_of("eve"))
        await meeting.flush(30)
        assert meeting.replica.journeys.writes == [1, 1, 1, 1]  # eve, then each of them
        assert kinds(await meeting.steps_of(lost)) == [Came, Subscribed, WentLive]
        first = (await meeting.steps_of(kept))[0]
        assert isinstance(first, Came)
        assert not first.is_retold
        assert len(await meeting.steps_of(busy)) == 3
        await meeting.end()

    run(scenario())


def test_without_it_nothing_is_told() -> None:
    async def scenario() -> None:
        meeting = Told(journeys={"enabled": False})
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        meeting.replica.chronicle.open()
        say(client, {"subscribe": {"channel": A}}, {"unsubscribe": {"channel": A}})
        await meeting.settle()
        client.lost()
        await meeting.flush()
        journeys = meeting.replica.journeys
        assert (journeys.steps, journeys.told, journeys.writes) == ({}, {}, [])
        await meeting.end()

    run(scenario())


def test_at_its_end_a_replica_tells_the_rest() -> None:
    async def scenario() -> None:
        meeting = Told()
        client, _ = await meeting.subscribed(A, token=token_of("ann"))
        meeting.replica.chronicle.open()
        await turns(2)
        client.end(3001)
        await meeting.end()
        assert meeting.replica.journeys.of(client).status == "disconnected"

    run(scenario())
