"""Runs a test's coroutine on a loop of its own."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and fail on what it left behind."""
    return asyncio.run(work)
