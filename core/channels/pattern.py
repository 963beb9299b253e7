"""Patterns of channel names, as those who ask which channels are occupied write them."""

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Final

PATTERN_CHARACTERS_MAX: Final = 255
_SPECIAL: Final = re.compile(r"[*?\[]")


def beginning(pattern: str) -> str:
    """Return the text that every name begins with that the pattern fits."""
    special = _SPECIAL.search(pattern)
    return pattern if special is None else pattern[: special.start()]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a name fits: `*` any characters, `?` one, `[ab]`, `[!ab]`; "" fits every name.

    Takes time in proportion to pattern and name, whatever they are: a star never gives back what it took.
    """
    fits = re.compile(translate(pattern or "*")).match
    return lambda name: fits(name) is not None
