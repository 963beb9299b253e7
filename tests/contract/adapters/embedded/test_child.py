"""A child of `tidings up` notices that its parent is gone, however that ended."""

import os
import signal
import subprocess
import sys

import pytest

CHILD = """
import asyncio
from adapters.embedded.child import input_ended
async def main():
    ended = asyncio.ensure_future(input_ended())
    print("waiting", flush=True)
    await ended
    print("alone", flush=True)
asyncio.run(main())
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
child.stdin.write(b"not the end\\n")
child.stdin.flush()
child.wait()
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_parent_is_the_end_of_the_input(sign: signal.Signals) -> None:
    with subprocess.Popen(  # noqa: S603 (ours)
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "waiting\n"  # what was written to it did not end it
        os.kill(parent.pid, sign)
        assert parent.stdout.readline() == "alone\n"
