"""Lua as source files: `lua/<name>.lua` opens with its keys, arguments and result."""

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final

NAMES: Final = ("beat", "hold", "journey", "occupancy", "presence", "swept")


@cache
def source(name: str) -> str:
    """Return the text of a script."""
    return files("adapters.redis").joinpath("lua", f"{name}.lua").read_text()


@cache
def digest(name: str) -> str:
    """Return what `EVALSHA` knows a script by."""
    return sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def call(name: str, keys: tuple[str, ...], *arguments: str | bytes | int) -> tuple[str | bytes | int, ...]:
    """Return the command that runs a script, for a `Line`, which has loaded it."""
    return ("EVALSHA", digest(name), len(keys), *keys, *arguments)
