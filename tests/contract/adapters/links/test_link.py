"""The caller's end of one link: what it opens to, and where everything goes that it was given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from adapters.links.handshake import NONCE_BYTES, CallerHandshake
from adapters.links.link import LinkLostError, OwnerLink, QuestionFailedError, Unreachable, connect
from adapters.links.pending import Budget, Pending
from core.errors import Code, TidingsError
from core.streams.command import Command
from core.streams.event import EphemeralPublication, Head, LiveBatch
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from settings import Links
from tests.contract.adapters.links.desk import ENTROPY, MOVING, ORG, Desk, effect, one_command, served
from tests.helpers.links import KEY, QUICK, until
from tests.helpers.loop import run
from tests.helpers.ports import free_port
from tests.helpers.proxy import Proxy

ANOTHER_KEY = b"another cluster key of that size"


class Notes:
    """Notes what a link tells that was not asked for."""

    def __init__(self) -> None:
        self.told: list[LiveBatch | Head | EphemeralPublication] = []
        self.moves = 0
        self.lost: list[OwnerLink] = []

    def on_live(self, batch: LiveBatch) -> None:
        self.told.append(batch)

    def on_head(self, head: Head) -> None:
        self.told.append(head)

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.told.append(publication)

    def on_moving(self) -> None:
        self.moves += 1

    def on_lost(self, link: OwnerLink) -> None:
        self.lost.append(link)


class Drawer:
    """A home that keeps what comes back, and why."""

    def __init__(self) -> None:
        self.back: list[tuple[str, Pending]] = []

    def take_back(self, pending: Pending) -> None:
        self.back.append(("lost", pending))

    def undecided(self, pending: Pending) -> None:
        self.back.append(("undecided", pending))

    def moved(self, pending: Pending, refusal: Refused) -> None:
        assert refusal.code == Code.PARTITION_MOVING.value
        self.back.append(("moved", pending))


def link_to(address: str, notes: Notes, *, key: bytes = KEY, settings: Links = QUICK) -> OwnerLink:
    handshake = CallerHandshake(key, ENTROPY.token(NONCE_BYTES), "owner-0", "gateway")
    return OwnerLink("owner-0", address, handshake, settings, notes)


@asynccontextmanager
async def opened(address: str, notes: Notes, *, settings: Links = QUICK) -> AsyncIterator[OwnerLink]:
    link = link_to(address, notes, settings=settings)
    assert await connect(link, settings, None) is None
    try:
        yield link
    finally:
        link.end("the test is over")


def pending_of(command: Command, home: Drawer | None = None) -> Pending:
    future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    pending = Pending(1, command, future, 1e12, Budget(10_000, 1 << 30))
    pending.home = home
    return pending


def submitted(link: OwnerLink, commands: list[Command], home: Drawer | None = None) -> list[Pending]:
    pendings = [pending_of(command, home) for command in commands]
    for pending in pendings:
        link.submit(pending, pending.command)
    return pendings


def run_linked(scenario: Callable[[Desk, Proxy, OwnerLink, Notes], object], *, holds: bool = False) -> None:
    """Run a scenario on an open link that leads through a proxy."""

    async def whole() -> None:
        desk, notes = Desk(holds=holds), Notes()
        patient = QUICK.model_copy(update={"silence_s": 600.0})
        async with (
            served(desk, links=patient) as (_, address),
            Proxy(address) as proxy,
            opened(proxy.address, notes, settings=patient) as link,
        ):
            work = scenario(desk, proxy, link, notes)
            assert asyncio.iscoroutine(work)
            await work

    run(whole())


# Opening


def test_who_cannot_be_reached_is_gone_or_silent() -> None:
    async def scenario() -> None:
        hasty = QUICK.model_copy(update={"connect_s": 0.2})
        async with (
            served(Desk(), "owner-0") as (_, address),
            served(Desk(), "owner-7") as (_, another),
            Proxy(address) as stalled,
        ):
            stalled.stall()
            for where, key, expected in (
                (address, KEY, None),
                (f"127.0.0.1:{free_port()}", KEY, Unreachable.REFUSED),
                (another, KEY, Unreachable.REFUSED),  # the port was used again: the one sought is gone
                (address, ANOTHER_KEY, Unreachable.SILENT),
                (stalled.address, KEY, Unreachable.SILENT),
            ):
                notes = Notes()
                link = link_to(where, notes, key=key, settings=hasty)
                assert await connect(link, hasty, None) is expected, where
                assert notes.lost == [], "what was never open is not lost"
                if expected is None:
                    link.end("done")
                    assert notes.lost == [link]

    run(scenario())


def test_an_owner_who_closes_in_the_middle_of_the_proofs_is_silent() -> None:
    async def scenario() -> None:
        async with served(Desk()) as (_, address), Proxy(address) as proxy:
            link = link_to(proxy.address, Notes())
            proxy.down.stall()
            opening = asyncio.create_task(connect(link, QUICK, None))
            await until(lambda: proxy.up.bytes_passed)
            proxy.cut()
            assert await opening is Unreachable.SILENT

    run(scenario())


# Commands


def test_each_answer_settles_the_command_that_it_belongs_to() -> None:
    async def scenario(desk: Desk, _proxy: Proxy, link: OwnerLink, _notes: Notes) -> None:
        pendings = submitted(link, [one_command() for _ in range(100)])
        await until(lambda: len(desk.held) == 100)
        for number in range(99, -1, -1):
            one = pendings[number].command
            desk.held[one.event_id].set_result(effect(one, number))
        outcomes = await asyncio.gather(*(pending.future for pending in pendings))
        assert outcomes == [effect(pending.command, n) for n, pending in enumerate(pendings)]

    run_linked(scenario, holds=True)


def test_what_its_owner_did_not_decide_goes_home_and_a_refusal_does_not() -> None:
    async def scenario(desk: Desk, _proxy: Proxy, link: OwnerLink, _notes: Notes) -> None:
        commands = [one_command() for _ in range(4)]
        told: list[Outcome] = [MOVING, Unknown(), Refused("conflict"), effect(commands[3])]
        for command, outcome in zip(commands, told, strict=True):
            desk.outcomes[command.event_id] = outcome
        home = Drawer()
        pendings = submitted(link, commands, home)
        assert await pendings[3].future == told[3]
        assert await pendings[2].future == told[2]
        assert home.back == [("moved", pendings[0]), ("undecided", pendings[1])]
        assert not link.unanswered_of(home)

    run_linked(scenario)


def test_a_lost_link_gives_every_unanswered_command_home_once_and_in_order() -> None:
    async def scenario(desk: Desk, proxy: Proxy, link: OwnerLink, notes: Notes) -> None:
        home, other = Drawer(), Drawer()
        pendings = submitted(link, [one_command() for _ in range(50)], home)
        strangers = submitted(link, [one_command()], other)
        await until(lambda: len(desk.held) == 51)
        desk.held[pendings[7].command.event_id].set_result(effect(pendings[7].command))
        assert isinstance(await pendings[7].future, Committed)
        proxy.cut()
        await until(lambda: notes.lost)
        left = [pending for pending in pendings if pending is not pendings[7]]
        assert home.back == [("lost", pending) for pending in left]
        assert other.back == [("lost", strangers[0])]
        assert not any(pending.settled for pending in left)
        link.end("again")
        assert notes.lost == [link]
        assert len(home.back) == 49

    run_linked(scenario, holds=True)


def test_a_command_that_no_frame_can_hold_is_refused_and_harms_no_other() -> None:
    async def scenario() -> None:
        desk, small = Desk(), QUICK.model_copy(update={"frame_bytes_max": 4_000})
        async with served(desk) as (_, address), opened(address, Notes(), settings=small) as link:
            before, long, after = submitted(link, [one_command(), one_command(bytes(5_000)), one_command()])
            refusal = await long.future
            assert isinstance(refusal, Refused)
            assert refusal.code == "body_too_large"
            assert [type(await pending.future) for pending in (before, after)] == [Committed, Committed]
            assert not link.ended

    run(scenario())


def test_past_its_deadline_a_sent_command_is_unknown_and_a_late_answer_changes_nothing() -> None:
    async def scenario(desk: Desk, _proxy: Proxy, link: OwnerLink, _notes: Notes) -> None:
        late, patient = submitted(link, [one_command(), one_command()], Drawer())
        late.deadline = 100.0
        await until(lambda: len(desk.held) == 2)
        link.expire(99.0)
        assert not late.settled
        link.expire(100.0)
        assert isinstance(await late.future, Unknown)
        for pending in (late, patient):
            desk.held[pending.command.event_id].set_result(effect(pending.command))
        assert isinstance(await patient.future, Committed)
        assert isinstance(late.future.result(), Unknown)

    run_linked(scenario, holds=True)


# Questions


def test_a_question_is_answered_or_says_why_not() -> None:
    async def scenario(desk: Desk, _proxy: Proxy, link: OwnerLink, _notes: Notes) -> None:
        one = one_command()
        desk.finds = {one.event_id: effect(one)}.get
        assert await link.find(one) == effect(one)
        assert await link.find(one_command()) is None
        desk.heads.put_nowait(Head(ORG, "epoch", 7))
        assert await link.ask_head(ORG) == Head(ORG, "epoch", 7)
        desk.heads.put_nowait(TidingsError(Code.NOT_FOUND))
        with pytest.raises(QuestionFailedError) as failure:
            await link.ask_head(ORG)
        assert failure.value.as_tidings_error().code is Code.NOT_FOUND

    run_linked(scenario)


def test_a_question_on_a_lost_link_fails_whenever_it_was_asked() -> None:
    async def scenario(desk: Desk, proxy: Proxy, link: OwnerLink, notes: Notes) -> None:
        asking = [asyncio.create_task(link.ask_head(ORG)) for _ in range(5)]
        asking[0].cancel()
        await until(lambda: proxy.up.bytes_passed and desk.heads.empty())
        proxy.cut()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert all(isinstance(answer, LinkLostError) for answer in answers[1:])
        await until(lambda: notes.lost)
        with pytest.raises(LinkLostError):
            await link.find(one_command())

    run_linked(scenario)


def test_a_code_of_a_newer_release_is_internal() -> None:
    assert QuestionFailedError("a code of tomorrow", "why").as_tidings_error().code is Code.INTERNAL


# Endings


def test_a_silent_owner_is_given_up() -> None:
    async def scenario() -> None:
        notes = Notes()
        async with (
            served(Desk()) as (_, address),
            Proxy(address) as proxy,
            opened(proxy.address, notes) as link,
        ):
            home = Drawer()
            submitted(link, [one_command()], home)
            proxy.down.stall()
            beats = 0
            while not link.ended:
                link.beat()
                beats += 1
            assert beats == QUICK.silence_s / QUICK.ping_s + 1
            assert notes.lost == [link]
            assert len(home.back) == 1

    run(scenario())


@pytest.mark.parametrize("nonsense", [b"\xc1", b"\x91\x92\x63\x01", b"\x07"])
def test_an_owner_who_speaks_nonsense_is_given_up(nonsense: bytes) -> None:
    async def scenario() -> None:
        notes = Notes()
        async with served(Desk(holds=True)) as (server, address), opened(address, notes) as link:
            home = Drawer()
            pendings = submitted(link, [one_command()], home)
            await until(lambda: server.processes)
            (far,) = server._processes.values()  # noqa: SLF001 (what a broken owner would do)
            far.transport.send(WSMsgType.BINARY, nonsense)
            await until(lambda: notes.lost)
            assert home.back == [("lost", pendings[0])]

    run(scenario())


def test_closing_sends_first_what_was_said() -> None:
    async def scenario(desk: Desk, _proxy: Proxy, link: OwnerLink, _notes: Notes) -> None:
        submitted(link, [one_command() for _ in range(10)], Drawer())
        link.close()
        await until(lambda: len(desk.commands) == 10)
        await until(lambda: desk.forgotten)

    run_linked(scenario, holds=True)


class Mute(WSListener):
    """An owner's end that never speaks."""

    def __init__(self, open_: "set[Mute]") -> None:
        self._open = open_

    def on_ws_connected(self, _transport: WSTransport) -> None:
        self._open.add(self)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self._open.discard(self)


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_attempt_that_was_given_up_leaves_no_connection_behind(*, cancelled: bool) -> None:
    async def scenario() -> None:
        hasty = QUICK.model_copy(update={"connect_s": 10.0 if cancelled else 0.2})
        open_: set[Mute] = set()
        listening = await ws_create_server(lambda _: Mute(open_), "127.0.0.1", 0)
        address = "{}:{}".format(*listening.sockets[0].getsockname())
        attempt = asyncio.create_task(connect(link_to(address, Notes(), settings=hasty), hasty, None))
        await until(lambda: open_)
        if cancelled:
            attempt.cancel()
        await asyncio.wait({attempt})
        assert attempt.cancelled() or attempt.result() is Unreachable.SILENT
        await until(lambda: not open_)
        listening.close()

    run(scenario())
