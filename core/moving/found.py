"""From a configuration file and an environment to one set of keys, whatever version wrote them."""

from collections.abc import Mapping
from typing import Any

import orjson

from core.moving.keys import LISTS, MARKS, PATHS, PRO_OPTIONS, SETTINGS, VERDICTS
from core.moving.older import NEWER, OPTIONS, newer_of
from core.moving.source import PREFIX, Source, leaves, variable_of


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
        newer = newer_of(key, options)
        if newer != key and (newer in found or newer in source.values):
            _refuse_second(source, key, value, source.spelled.get(newer, newer))
        else:
            _put(source, key, value, key, options)
    for key in (*NEWER, *OPTIONS, *options):
        _read_older(source, key, options)
    for key in LISTS:
        _read_list(source, key, options)
    return source


def take_the_rest(source: Source) -> None:
    """Give the variables that nothing asked for the keys that they stand for, as far as these are known."""
    found = (*VERDICTS, *SETTINGS, *PATHS, *MARKS, *PRO_OPTIONS, *NEWER)
    known = sorted(found, key=len, reverse=True)
    while source.variables:
        variable, value = source.variables.popitem()
        key = next((_inside(key, variable) for key in known if _is_inside(key, variable)), variable)
        source.values[key] = value
        source.spelled[key] = variable


def _put(source: Source, key: str, value: Any, spelled: str, options: tuple[str, ...]) -> None:
    newer = newer_of(key, options)
    source.values[newer] = value
    source.spelled[newer] = spelled
    if newer != key:
        source.older.add(newer)


def _refuse_second(source: Source, key: str, value: Any, first: str) -> None:
    source.values[key] = value
    source.refuse(key, f"means the same as {first}: keep one of them")


def _is_inside(key: str, variable: str) -> bool:
    return f"{variable}_".startswith(f"{variable_of(key)}_")


def _inside(key: str, variable: str) -> str:
    rest = variable.removeprefix(variable_of(key)).removeprefix("_").lower()
    return newer_of(f"{key}.{rest}" if rest else key, ())


def _read_older(source: Source, key: str, options: tuple[str, ...]) -> None:
    """Read the variable that a key had before version 6, unless it is the same as now."""
    variable, newer = variable_of(key), newer_of(key, options)
    if variable not in source.variables or variable == variable_of(newer):
        return
    if variable_of(newer) in source.variables:
        _refuse_second(source, variable, source.variables.pop(variable), variable_of(newer))
    elif newer in LISTS:
        _read_list(source, key, options)
    else:
        _put(source, key, source.variables.pop(variable), variable, options)


def _read_list(source: Source, key: str, options: tuple[str, ...]) -> None:
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
        _put(source, _older_name(name), value, f"{variable}{name.removeprefix(key)}", options)


def _older_name(key: str) -> str:
    return key.replace("rpc.namespaces.", "rpc_namespaces.", 1) if key.endswith(".rpc_proxy_name") else key
