"""From a configuration file and an environment to one set of keys, whatever version wrote them."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from core.moving.keys import FLAT, FLAT_MEMBERS, FLAT_OPTIONS, LISTS, MARKS, PATHS, SETTINGS, VERDICTS
from core.moving.source import PREFIX, Source, leaves, variable_of

NAMESPACES: Final = "channel.namespaces"
WITHOUT: Final = "channel.without_namespace"


def source_of(
    configuration: Mapping[str, Any], variables: Mapping[str, str], options: tuple[str, ...]
) -> Source:
    """Return the keys of a configuration under their names of version 6.

    Args:
        configuration: the parsed file.
        variables: its environment; what does not begin with `CENTRIFUGO_` is somebody else's.
        options: names of channel options, which stand at the top of older files.
    """
    source = Source({}, {name: value for name, value in variables.items() if name.startswith(PREFIX)})
    found = leaves(configuration)
    for key, value in found.items():
        newer = _newer(key, options)
        if newer != key and (newer in found or newer in source.values):
            source.values[key] = value
            source.refuse(key, f"means the same as {source.spelled.get(newer, newer)}: keep one of them")
            continue
        source.values[newer] = value
        if newer != key:
            source.spelled[newer] = key
            source.older.add(newer)
    for key in LISTS:
        _read_list(source, key)
    return source


def take_the_rest(source: Source) -> None:
    """Give the variables that nothing asked for the keys that they stand for, as far as these are known."""
    known = sorted((*VERDICTS, *SETTINGS, *PATHS, *MARKS), key=len, reverse=True)
    while source.variables:
        variable, value = source.variables.popitem()
        key = next((_inside(key, variable) for key in known if _is_inside(key, variable)), variable)
        source.values[key] = value
        source.spelled[key] = variable


def _is_inside(key: str, variable: str) -> bool:
    return f"{variable}_".startswith(f"{variable_of(key)}_")


def _inside(key: str, variable: str) -> str:
    rest = variable.removeprefix(variable_of(key)).removeprefix("_").lower()
    return f"{key}.{rest}" if rest else key


def _newer(key: str, options: tuple[str, ...]) -> str:
    first, _, rest = key.partition(".")
    if key in FLAT:
        return FLAT[key]
    if first == "namespaces":
        name, _, option = rest.rpartition(".")
        return f"{NAMESPACES}.{name}.{FLAT_OPTIONS.get(option, option)}"
    if rest and first in ("proxies", "rpc_namespaces"):
        for member, newer in FLAT_MEMBERS.items():
            rest = rest.replace(f".{member}", f".{newer}", 1)
        return f"{FLAT.get(first, first)}.{rest}"
    option = FLAT_OPTIONS.get(key, key)
    return f"{WITHOUT}.{option}" if option in options else key


def _read_list(source: Source, key: str) -> None:
    """Read a variable that holds a whole list: as JSON, or as the names of what other variables describe."""
    variable = variable_of(key)
    text = source.variables.pop(variable, None)
    if text is None:
        return
    items: Any = [{"name": name} for name in text.split()]
    if text.lstrip().startswith("["):
        try:
            items = orjson.loads(text)
        except orjson.JSONDecodeError:
            items = None
    found = leaves({key: items})
    if key in found and found[key] != []:
        source.refuse(variable, "must be JSON or names between spaces")
        return
    for name, value in found.items():
        source.values[name] = value
        source.spelled[name] = f"{variable}{name.removeprefix(key)}"
