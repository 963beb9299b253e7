"""What takes its time whatever the machine is tried by clients of many kinds at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tests.conformance.kinds import Kind
from tests.helpers.loop import run


def together(kinds: Iterable[Kind], conversation: Callable[[Kind], Awaitable[None]]) -> None:
    """Hold a conversation with each kind at the same time; a failure names its kind."""

    async def one(kind: Kind) -> None:
        try:
            await conversation(kind)
        except Exception as error:
            error.add_note(f"with {kind.name}")
            raise

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for kind in kinds:
                group.create_task(one(kind))

    run(all_of_them())
