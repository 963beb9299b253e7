"""Durations as Go programs write them: `90s`, `1h30m`, `300ms`; a bare number counts nanoseconds."""

import re
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h)"
_WHOLE: Final = re.compile(rf"([-+]?)((?:{_PART})+|0)", re.ASCII)
_PARTS: Final = re.compile(_PART, re.ASCII)


def seconds_of(value: str | float) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str):
        return value * _UNITS["ns"]
    match = _WHOLE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    total = sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(match[2]))
    return -total if match[1] == "-" else total
