"""The proxies of a Centrifugo configuration: where its backend is asked, and about what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import orjson

from core.connections.backend_options import BackendOptions, read_options
from core.errors import TidingsError
from core.moving.older import GENERAL
from core.moving.options import asks_proxy, proxy_keys
from core.moving.source import SAME, TAKEN, UNAVAILABLE, Source

RPC: Final = "rpc.proxy"
GRANULAR: Final = "granular_proxy_mode"
"""A switch of versions 4 and 5: with it proxies go by their names, without it each event has one."""
DEFAULT: Final = "default"
TIMEOUT_S: Final = 1.0
"""Of a proxy that names none."""

_ONE_MODE: Final = "not in use: names count in granular_proxy_mode, which is off"
_HTTP: Final = ("http://", "https://")
_PORTS: Final = {"http": ":80", "https": ":443"}
_END_OF_HOST: Final = re.compile(r"[/?#\\]")
_SHARED: Final = {
    "timeout": ("timeout_s", "all events share the longest timeout"),
    "http_headers": ("http_headers", "all events share the headers of all proxies"),
    "http.static_headers": ("static_headers", "all events share the headers of all proxies"),
    "include_connection_meta": ("include_meta", "all events have it if one has it"),
    "binary_encoding": ("binary_encoding", "all events have it if one has it"),
}
"""What proxies may say differently, and what becomes of it."""
_ADDRESS: Final = ("forwarded", "x-forwarded-", "x-real-ip")
"""Headers that no client may make up: they are passed on as they came, or not at all."""
_SECRET: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class _Proxy:
    """One address and how it is asked."""

    key: str
    url: str
    timeout_s: float
    http_headers: tuple[str, ...]
    static_headers: dict[str, str]
    include_meta: bool
    binary_encoding: bool

    @property
    def origin(self) -> str:
        """Scheme, host and port, without what may be a password."""
        scheme, _, rest = self.url.partition("://")
        host = _END_OF_HOST.split(rest, maxsplit=1)[0].rpartition("@")[2].lower()
        return f"{scheme}://{host.removesuffix(_PORTS[scheme])}"

    @property
    def secrets(self) -> tuple[Any, ...]:
        """What is sent of clients and of its own, and is nobody else's business."""
        static = {name.lower(): value for name, value in self.static_headers.items()}
        return {name.lower() for name in self.http_headers}, static, self.include_meta


def backend_of(source: Source, namespaces: Sequence[str]) -> dict[str, Any]:
    """Return what `read_options` reads into the backend's options; {}: nobody is asked.

    One kind of event has one address here, and how it is asked is the same for all kinds. The move is refused
    where namespaces disagree about an address, and where a host would get headers that are another's. Else
    headers come together, and the longest timeout holds.

    Args:
        source: the configuration.
        namespaces: the keys under which options of channels stand.
    """
    source.flag(GRANULAR)
    found = {
        "connect": _of_connections(source, "connect"),
        "refresh": _of_connections(source, "refresh"),
        "subscribe": _of_channels(source, "subscribe", namespaces),
        "publish": _of_channels(source, "publish", namespaces),
        "rpc": _of_rpc(source),
    }
    proxies = {event: proxy for event, proxy in found.items() if proxy is not None}
    if not proxies:
        return {}
    _check_hosts(source, list(proxies.values()))
    _note_what_is_shared(source, list(proxies.values()))
    headers = list(dict.fromkeys(name for proxy in proxies.values() for name in proxy.http_headers))
    document: dict[str, Any] = {
        "endpoints": {event: proxy.url for event, proxy in proxies.items()},
        "timeout_ms": round(max(proxy.timeout_s for proxy in proxies.values()) * 1000),
        "http_headers": headers,
        "emulated_headers": [name for name in headers if not name.lower().startswith(_ADDRESS)],
        "static_headers": _static_headers(source, list(proxies.values())),
        "include_meta": any(proxy.include_meta for proxy in proxies.values()),
        "binary_encoding": any(proxy.binary_encoding for proxy in proxies.values()),
    }
    _check(source, document, next(iter(proxies.values())))
    return document


def options_of(document: dict[str, Any], secret: bytes) -> BackendOptions:
    """Return the options of a document, signed with `secret` (24 to 64 bytes)."""
    return read_options(orjson.dumps(document), BackendOptions(), secret)


def _check(source: Source, document: dict[str, Any], proxy: _Proxy) -> None:
    try:
        options_of(document, _SECRET)
    except TidingsError as error:
        for fault in error.members.get("errors", []):
            source.refuse(proxy.key, f"{fault['pointer'].removeprefix('#/')}: {fault['detail']}")


def _check_hosts(source: Source, proxies: Sequence[_Proxy]) -> None:
    for one, other in combinations(proxies, 2):
        if one.origin != other.origin and one.secrets != other.secrets:
            source.refuse(
                f"{other.key}.endpoint",
                f"{other.origin} would get what is for {one.origin}, or the other way round: headers and "
                "meta go with every event here. Let both have the same ones, or ask them at one host",
            )
            return


def _note_what_is_shared(source: Source, proxies: Sequence[_Proxy]) -> None:
    for member, (attribute, why) in _SHARED.items():
        values = [getattr(proxy, attribute) for proxy in proxies]
        if all(value == values[0] for value in values):
            continue
        for prefix in {f"{proxy.key}.{member}" for proxy in proxies}:
            for key in [key for key in source.values if f"{key}.".startswith(f"{prefix}.")]:
                source.note(key, TAKEN, why)


def _static_headers(source: Source, proxies: Sequence[_Proxy]) -> dict[str, str]:
    found: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for proxy in proxies:
        for name, value in proxy.static_headers.items():
            name_here = spelled.setdefault(name.lower(), name)
            if found.setdefault(name_here, value) != value:
                source.refuse(f"{proxy.key}.http.static_headers.{name}", "one value is sent to all addresses")
    return found


def _of_connections(source: Source, event: str) -> _Proxy | None:
    key, name = f"client.proxy.{event}", f"{event}_proxy_name"
    chosen = source.text(name)
    if chosen and source.flag(GRANULAR):
        return _one_of(source, {f"proxies.{chosen}": name})
    source.note(name, SAME, _ONE_MODE)
    return _proxy(source, key) if source.flag(f"{key}.enabled") or _is_older(source, key) else None


def _is_older(source: Source, key: str) -> bool:
    """Say whether an endpoint alone turns its proxy on: so it was before version 6, but in granular mode."""
    endpoint = f"{key}.endpoint"
    return endpoint in source.older and source.text(endpoint) != "" and not source.flag(GRANULAR)


def _of_channels(source: Source, event: str, namespaces: Sequence[str]) -> _Proxy | None:
    return _asked(
        source, [proxy_keys(namespace, event) for namespace in namespaces], f"channel.proxy.{event}"
    )


def _of_rpc(source: Source) -> _Proxy | None:
    prefixes = [
        "rpc.without_namespace",
        *(f"rpc.namespaces.{name}" for name in source.names_under("rpc.namespaces")),
    ]
    for prefix in prefixes:
        source.note(f"{prefix}.name", TAKEN)
    options = [(f"{prefix}.proxy_enabled", f"{prefix}.proxy_name") for prefix in prefixes]
    found = _asked(source, options, RPC)
    return _proxy(source, RPC) if found is None and _is_older(source, RPC) else found


def _asked(source: Source, options: Sequence[tuple[str, str]], default: str) -> _Proxy | None:
    """Return the one proxy that all of these options name which ask any."""
    found: dict[str, str] = {}
    for on, name in options:
        if asks_proxy(source, on, name):
            key = _chosen(source, on, name, default)
            found.setdefault(key, name if name in source.values else on)
    return _one_of(source, found)


def _chosen(source: Source, on: str, name: str, default: str) -> str:
    """Return the key of the proxy that is named; before version 6 names counted in granular mode alone."""
    chosen = source.text(name)
    if not {on, name} & source.older:
        return default if chosen in ("", DEFAULT) else f"proxies.{chosen}"
    if source.flag(GRANULAR):
        return f"proxies.{chosen}" if chosen else ""
    source.note(name, SAME, _ONE_MODE)
    return default


def _one_of(source: Source, asked_for: dict[str, str]) -> _Proxy | None:
    if not asked_for:
        return None
    if len(asked_for) > 1:
        source.refuse(
            list(asked_for.values())[1],
            "one kind of event has one address here: name the same proxy everywhere",
        )
        return None
    ((key, option),) = asked_for.items()
    if not source.has(f"{key}.endpoint"):
        missing = f"endpoint {key}.endpoint" if key else f"name of a proxy, which {GRANULAR} wants"
        source.refuse(option, f"there is no {missing}")
        return None
    return _proxy(source, key)


def _proxy(source: Source, key: str) -> _Proxy | None:
    source.note(f"{key}.name", TAKEN)
    url = source.text(f"{key}.endpoint")
    if not url.startswith(_HTTP):
        source.refuse(f"{key}.endpoint", "a backend is asked over HTTP: http:// or https://")
        return None
    timeout = f"{key}.timeout"
    proxy = _Proxy(
        key,
        url,
        source.seconds(timeout) if source.has(timeout) else TIMEOUT_S,
        source.texts(f"{key}.http_headers"),
        source.mapping(f"{key}.http.static_headers"),
        source.flag(f"{key}.include_connection_meta"),
        source.flag(f"{key}.binary_encoding"),
    )
    if f"{key}.endpoint" in source.older:
        proxy = _with_what_is_general(source, proxy)
    for rest in [rest for rest in source.values if rest.startswith(f"{key}.") and rest not in source.rows]:
        source.note(rest, UNAVAILABLE, "a backend is asked in JSON over HTTP, and this is not part of it")
    return proxy


def _with_what_is_general(source: Source, proxy: _Proxy) -> _Proxy:
    headers, static_headers, include_meta, binary_encoding = GENERAL
    return replace(
        proxy,
        http_headers=source.texts(headers),
        static_headers=source.mapping(static_headers),
        include_meta=source.flag(include_meta),
        binary_encoding=source.flag(binary_encoding),
    )
