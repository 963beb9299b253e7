"""The beginning of a subscription: who is there knows of it before its reply, and it misses nothing after."""

import pytest

from core.channels.namespace import ChannelRules, Options
from core.connections.orders import Subscribe, Who
from core.streams.event import OPAQUE, Head
from tests.helpers.listener import Following, document
from tests.helpers.loop import run
from tests.helpers.meeting import Meeting, clients_of, kinds
from tests.helpers.memory_log import EPOCH, ORG, Gate, MemoryLog
from tests.helpers.replica import MemoryReplica, answer_all, say, settled, token_of, turns

BOTH = pytest.mark.parametrize("name", ["websocket_json", "websocket_protobuf"])


@BOTH
def test_the_reply_comes_first_then_its_own_join_then_publications(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        client, socket = await world.connect(form=world.form(name), token=token_of("ann", info={"x": 1}))
        say(client, {"subscribe": {"channel": "loud:a"}})
        await answer_all(world.log)
        world.log.publish("loud:a")
        await world.settle()
        assert kinds(socket) == ["connect", "subscribe", "join", "pub"]
        (joined,) = socket.pushes("join")
        info = {"x": 1} if socket.form.codec.is_json else b'{"x": 1}'
        assert joined["join"]["info"] == {"user": "ann", "client": client.client_id, "conn_info": info}
        assert clients_of(other, "join")[-1] == client.client_id
        assert len(other.pushes("join")) == 2  # its own, and this one
        await world.close()

    run(scenario())


def test_presence_is_entered_and_acknowledged_before_the_reply() -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect()
        gate = world.replica.roster.gate = Gate()
        (number,) = say(client, {"subscribe": {"channel": "loud:a"}})
        await answer_all(world.log)
        assert world.present(client) == ["loud:a"]
        assert kinds(socket) == ["connect"]
        gate.open_all()
        await world.settle()
        assert socket.reply(number)["subscribe"]["positioned"]
        await world.close()

    run(scenario())


def test_who_wishes_to_hear_of_others_does_and_who_does_not_wish_it_does_not() -> None:
    async def scenario() -> None:
        world = Meeting()
        (curious, heard), (deaf, unheard) = await world.connect(), await world.connect()
        say(curious, {"subscribe": {"channel": "shy:a", "join_leave": True}})
        say(deaf, {"subscribe": {"channel": "shy:a"}})
        await world.settle()
        await world.close()
        assert clients_of(heard, "join") == [curious.client_id, deaf.client_id]
        assert unheard.pushes("join") == []

    run(scenario())


def test_where_joins_are_not_told_nobody_hears_of_its_own_either() -> None:
    async def scenario() -> None:
        deaf = Options(force_push_join_leave=True)
        world = Meeting(rules=ChannelRules(namespaces={"deaf": deaf}))
        _, socket = await world.subscribed("deaf:a")
        await world.subscribed("deaf:a")
        assert kinds(socket)[-1:] == ["subscribe"]
        await world.close()

    run(scenario())


def test_a_subscribe_that_fails_leaves_nothing_behind_and_tells_nobody() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        heard = len(other.lines)
        client, socket = await world.connect()
        (number,) = say(client, {"subscribe": {"channel": "loud:a"}})
        await turns(5)
        while world.log.gate.open(0, well=False):
            await turns(5)
        assert socket.reply(number)["error"]["code"] == 100
        recover = {"recover": True, "offset": 9, "epoch": EPOCH, "flag": 2}
        (number,) = say(client, {"subscribe": {"channel": "loud:a", **recover}})
        await world.settle()
        assert socket.reply(number)["error"]["code"] == 112
        assert world.present(client) == []
        assert len(other.lines) == heard
        client.lost()
        await world.settle()
        assert len(other.lines) == heard
        await world.close()

    run(scenario())


# --- server-side subscriptions


@BOTH
def test_server_side_ones_stand_in_the_connect_reply_then_come_joins_then_publications(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        world.log.commit("loud:a")
        token = token_of("ann", channels=["loud:a", "loud:b", "plain"])
        client, socket = await world.connect(form=world.form(name), token=token)
        await answer_all(world.log)
        world.log.publish("loud:a", "loud:b", "plain")
        await world.settle()
        assert kinds(socket) == ["connect", "join", "join", "pub", "pub", "pub"]
        subs = socket.lines[0]["connect"]["subs"]
        assert {channel: sub.get("offset", 0) for channel, sub in subs.items()} == {
            "loud:a": 1,
            "loud:b": 0,
            "plain": 0,
        }
        assert sorted(clients_of(socket, "join")) == [client.client_id] * 2
        assert world.present(client) == ["loud:a", "loud:b"]
        await world.close()

    run(scenario())


def test_they_recover_by_the_positions_of_the_connect_page_by_page() -> None:
    async def scenario() -> None:
        world = Meeting(page_bytes_max=10_000)
        for _ in range(7):
            world.log.commit("a", "b")
        subs = {
            "a": {"recover": True, "offset": 1, "epoch": EPOCH},
            "b": {"recover": True, "offset": 5, "epoch": "another"},
        }
        client, socket = await world.connect(token=token_of("ann", channels=["a", "b"]), subs=subs)
        await world.settle()
        world.log.publish("a", "b")
        await world.settle()
        found = socket.lines[0]["connect"]["subs"]
        assert (found["a"]["recovered"], found["a"]["offset"]) == (True, 1)
        assert (found["b"].get("recovered"), found["b"]["offset"]) == (None, 7)
        assert "publications" not in found["b"]
        listed = [publication["offset"] for publication in found["a"]["publications"]]
        pushed = [push["pub"]["offset"] for push in socket.pushes("pub", "a")]
        assert len(listed) == 2  # a page
        assert listed + pushed == [2, 3, 4, 5, 6, 7, 8]
        assert [push["pub"]["offset"] for push in socket.pushes("pub", "b")] == [8]
        assert client.connection.is_connected
        await world.close()

    run(scenario())


def test_what_all_of_them_missed_takes_one_page_of_the_connect_reply_and_the_rest_is_pushed() -> None:
    async def scenario() -> None:
        world = Meeting(page_bytes_max=1_000)
        channels = [f"c{number}" for number in range(5)]
        for _ in range(2):
            for channel in channels:
                world.log.commit(channel, data=document(100))
        missed = {channel: {"recover": True, "offset": 0, "epoch": EPOCH} for channel in channels}
        _, socket = await world.connect(token=token_of("ann", channels=channels), subs=missed)
        await world.settle()
        world.log.publish(*channels)
        await world.settle()
        subs = socket.lines[0]["connect"]["subs"]
        listed = {
            channel: [one["offset"] for one in sub.get("publications", [])] for channel, sub in subs.items()
        }
        assert {len(offsets) for offsets in listed.values()} == {0, 2}
        assert all(sub["recovered"] and sub.get("offset", 0) == 0 for sub in subs.values())
        for channel, offsets in listed.items():
            pushed = [push["pub"]["offset"] for push in socket.pushes("pub", channel)]
            assert offsets + pushed == [1, 2, 3]
        await world.close()

    run(scenario())


def test_a_channel_that_the_connect_asks_for_becomes_one_of_them_if_it_may() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, socket = await world.connect(token=token_of("ann"), subs={"a": {}, "$private": {}})
        await world.settle()
        assert set(socket.lines[0]["connect"]["subs"]) == {"a"}
        await world.close()

    run(scenario())


def test_all_of_them_begin_or_none_and_the_connect_is_answered_with_an_error() -> None:
    async def scenario() -> None:
        world = Meeting()
        _, other = await world.listener()
        heard = len(other.lines)
        token = token_of("ann", channels=["loud:a", "loud:b"])
        client, socket = await world.connect(token=token)
        world.log.gate.open(0)  # of the heads that both ask for, one comes
        await turns(5)
        while world.log.gate.open(0, well=False):
            await turns(5)
        assert socket.lines[0]["error"]["code"] == 100
        assert len(socket.lines) == 1
        assert world.present(client) == []
        world.log.publish("loud:a")
        await world.settle()
        assert len(socket.lines) == 1
        assert kinds(other, heard) == ["pub"]
        say(client, {"history": {"channel": "a"}})  # after an error nothing but the end
        assert socket.codes == [3501]
        client.lost()
        await world.settle()
        assert [feed.users for feed in world.replica.hub.feeds] == [1]
        await world.close()

    run(scenario())


@pytest.mark.parametrize("pause", range(8))
def test_who_leaves_while_it_is_let_in_is_nowhere_in_the_end(pause: int) -> None:
    async def scenario() -> None:
        world = Meeting()
        world.replica.roster.gate = Gate()
        client, _ = world.replica.connect(token=token_of("ann", channels=["loud:a", "loud:b"]))
        await turns(pause)
        client.lost()
        for _ in range(3):
            await world.settle()
            world.replica.roster.gate.open_all()
        assert world.replica.roster.present == {}
        assert all(not feed.channels and not feed.users for feed in world.replica.hub.feeds)
        assert len(world.replica.clients) == 0
        await world.close()

    run(scenario())


def test_a_subscription_that_an_order_adds_is_pushed_with_what_was_missed_behind_it() -> None:
    async def scenario() -> None:
        world = Meeting()
        for _ in range(6):
            world.log.commit("loud:a")
        client, socket = await world.connect(token=token_of("ann"))
        who = Who("ann")
        world.replica.order(Subscribe(who, "loud:a", data=b'{"x":1}', since_offset=1, since_epoch=EPOCH))
        world.replica.order(Subscribe(who, "b"))
        await world.settle()
        world.log.publish("loud:a", "b")
        await world.settle()
        (added,) = socket.pushes("subscribe", "loud:a")
        assert added["subscribe"] == {
            "recoverable": True,
            "positioned": True,
            "epoch": EPOCH,
            "offset": 1,
            "data": {"x": 1},
        }
        of_channel = [push for push in socket.pushes() if push["channel"] == "loud:a"]
        assert [next(kind for kind in push if kind != "channel") for push in of_channel] == [
            "subscribe",
            "join",
            *["pub"] * 6,
        ]
        assert [push["pub"]["offset"] for push in of_channel[2:]] == [2, 3, 4, 5, 6, 7]
        assert [push["pub"]["offset"] for push in socket.pushes("pub", "b")] == [1]
        assert client.connection.is_connected
        await world.close()

    run(scenario())


# --- what is in the reply


@BOTH
def test_with_delta_the_recovered_are_a_chain_that_goes_on_over_pages_into_the_live_stream(name: str) -> None:
    async def scenario() -> None:
        world = Meeting(page_bytes_max=10_000)
        early, its_socket = await world.connect(form=world.form(name))
        (number,) = say(early, {"subscribe": {"channel": "a", "delta": "fossil"}})
        await world.settle()
        for value in range(1, 8):
            world.log.publish("a", data=document(value))
            await turns(3)
        client, socket = await world.connect(form=world.form(name))
        since = {"recover": True, "offset": 1, "epoch": EPOCH, "delta": "fossil"}
        (again,) = say(client, {"subscribe": {"channel": "a", **since}})
        await answer_all(world.log)
        for value in range(8, 11):
            world.log.publish("a", data=document(value))
            await world.settle()
        assert its_socket.reply(number)["subscribe"]["delta"]
        reply = socket.reply(again)["subscribe"]
        assert (reply["delta"], reply["recovered"], len(reply["publications"])) == (True, True, 2)
        following, first = Following(), Following()
        pushed = [push["pub"] for push in socket.pushes("pub")]
        documents = following.take_all([*reply["publications"], *pushed])
        assert documents == [document(value) for value in range(2, 11)]
        assert following.patches == 8
        everything = first.take_all(push["pub"] for push in its_socket.pushes("pub"))
        assert everything == [document(value) for value in range(1, 11)]
        assert first.patches == 9
        await world.close()

    run(scenario())


@BOTH
def test_who_subscribes_again_begins_whole_again(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        client, socket = await world.connect(form=world.form(name))
        _, other = await world.listener("a")
        for value in (1, 2):
            say(client, {"subscribe": {"channel": "a", "delta": "fossil"}})
            await world.settle()
            for step in (0, 1):
                world.log.publish("a", data=document(2 * value + step))
                await turns(3)
            say(client, {"unsubscribe": {"channel": "a"}})
            await world.settle()
        pushed = [push["pub"] for push in socket.pushes("pub")]
        assert ["delta" in publication for publication in pushed] == [False, True, False, True]
        for two in (pushed[:2], pushed[2:]):
            assert Following().take_all(two)[0] in (document(2), document(4))
        assert len(other.pushes("pub")) == 4
        await world.close()

    run(scenario())


@BOTH
def test_a_recovered_payload_that_is_not_json_ends_who_reads_json(name: str) -> None:
    async def scenario() -> None:
        world = Meeting()
        world.log.commit("a", data=b"\xff", flags=OPAQUE)
        client, socket = await world.connect(form=world.form(name))
        recover = {"recover": True, "offset": 0, "epoch": EPOCH}
        (number,) = say(client, {"subscribe": {"channel": "a", **recover}})
        await world.settle()
        if socket.form.codec.is_json:
            assert (socket.codes, kinds(socket)) == ([3506], ["connect"])
        else:
            (publication,) = socket.reply(number)["subscribe"]["publications"]
            assert publication["data"] == b"\xff"
        await world.close()

    run(scenario())


def test_what_is_not_recoverable_is_told_by_what_the_reply_leaves_out() -> None:
    async def scenario() -> None:
        world = Meeting()
        world.log.commit("shy:a")
        client, socket = await world.connect()
        recover = {"recover": True, "offset": 0, "epoch": EPOCH, "flag": 2}
        (number,) = say(client, {"subscribe": {"channel": "shy:a", **recover}})
        await world.settle()
        expected = {"positioned": True, "epoch": EPOCH, "offset": 1, "was_recovering": True}
        assert socket.reply(number)["subscribe"] == expected
        await world.close()

    run(scenario())


# --- caches

CACHES = ChannelRules(
    namespaces={"cache": Options(history="whole", force_recovery=True, force_recovery_mode="cache")}
)


def test_of_many_caches_what_has_no_room_in_the_connect_reply_is_pushed() -> None:
    async def scenario() -> None:
        world = Meeting(rules=CACHES, page_bytes_max=1_000)
        channels = [f"cache:{number}" for number in range(5)]
        for value in (1, 2):
            for channel in channels:
                world.log.commit(channel, data=document(value))
        recover = {channel: {"recover": True, "offset": 1, "epoch": EPOCH} for channel in channels}
        _, socket = await world.connect(token=token_of("ann", channels=channels), subs=recover)
        await world.settle()
        subs = socket.lines[0]["connect"]["subs"]
        assert sum(len(sub.get("publications", [])) for sub in subs.values()) == 2
        for channel, sub in subs.items():
            listed = [one["offset"] for one in sub.get("publications", [])]
            pushed = [push["pub"]["offset"] for push in socket.pushes("pub", channel)]
            # Who has not got the newest does not stand at it: it would not get it when it comes back.
            assert (sub["recovered"], sub["offset"]) == (True, 2 if listed else 1)
            assert listed + pushed == [2]
        await world.close()

    run(scenario())


class Slow(MemoryLog):
    """A log whose head has changed by the time at which it is told."""

    async def _announced(self) -> Head:
        head = Head(ORG, self.epoch, len(self.log))
        await self.gate.passed()
        return head


def test_the_newest_of_a_cache_is_read_though_it_is_newer_than_the_head_and_out_of_memory() -> None:
    async def scenario() -> None:
        log = Slow()
        replica = MemoryReplica(log, rules=CACHES, page_bytes_max=10_000)
        early, _ = replica.connect(token=token_of("early"))
        client, socket = replica.connect(token=token_of("ann"))
        await turns(5)
        say(early, {"subscribe": {"channel": "cache:a"}})
        await settled(log, replica)
        log.publish("cache:a")
        await settled(log, replica)
        (number,) = say(client, {"subscribe": {"channel": "cache:a", "recover": True, "epoch": EPOCH}})
        await turns(5)
        log.publish("cache:a")
        log.publish("b", data=document(1, more="x" * 2_000))
        await settled(log, replica)
        reply = socket.reply(number)["subscribe"]
        assert (reply["recovered"], reply["offset"]) == (True, 2)
        assert [one["offset"] for one in reply["publications"]] == [2]
        await replica.tasks.close()

    run(scenario())
