"""What a child of `tidings up` needs to know: that its parent is gone, however that ended."""

import asyncio
import os

STANDARD_INPUT = 0
READ_BYTES = 4_096


async def input_ended() -> None:
    """Return when standard input has ended: its other end is held by the parent alone."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(STANDARD_INPUT, READ_BYTES):
            loop.remove_reader(STANDARD_INPUT)
            ended.set_result(None)

    loop.add_reader(STANDARD_INPUT, read)
    await ended
