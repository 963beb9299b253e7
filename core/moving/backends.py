"""The proxies of a Centrifugo configuration: where its backend is asked, and about what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from core.connections.backend_options import BackendOptions, read_options
from core.errors import TidingsError
from core.moving.source import TAKEN, UNAVAILABLE, Source

CONNECT: Final = "client.proxy.connect"
REFRESH: Final = "client.proxy.refresh"
RPC: Final = "rpc.proxy"
DEFAULT: Final = "default"
TIMEOUT_S: Final = 1.0
"""Of a proxy that names none."""

_HTTP: Final = ("http://", "https://")
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


def backend_of(source: Source, namespaces: Sequence[str]) -> dict[str, Any]:
    """Return what `read_options` reads into the backend's options; {}: nobody is asked.

    One kind of event has one address here, and how it is asked is the same for all kinds: where namespaces
    disagree about an address, the move is refused; else headers come together, and the longest timeout holds.

    Args:
        source: the configuration.
        namespaces: the keys under which options of channels stand.
    """
    found = {
        "connect": _of_connections(source, CONNECT),
        "refresh": _of_connections(source, REFRESH),
        "subscribe": _of_channels(source, "subscribe", namespaces),
        "publish": _of_channels(source, "publish", namespaces),
        "rpc": _of_rpc(source),
    }
    proxies = {event: proxy for event, proxy in found.items() if proxy is not None}
    if not proxies:
        return {}
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


def _static_headers(source: Source, proxies: Sequence[_Proxy]) -> dict[str, str]:
    found: dict[str, str] = {}
    for proxy in proxies:
        for name, value in proxy.static_headers.items():
            if found.setdefault(name, value) != value:
                source.refuse(f"{proxy.key}.http.static_headers.{name}", "one value is sent to all addresses")
    return found


def _of_connections(source: Source, key: str) -> _Proxy | None:
    return _proxy(source, key) if source.flag(f"{key}.enabled") or _is_flat(source, key) else None


def _is_flat(source: Source, key: str) -> bool:
    # Before version 6 an endpoint alone turned its proxy on.
    return f"{key}.endpoint" in source.spelled and not source.spelled[f"{key}.endpoint"].isupper()


def _of_channels(source: Source, event: str, namespaces: Sequence[str]) -> _Proxy | None:
    names: dict[str, str] = {}
    for namespace in namespaces:
        on, name = f"{namespace}.{event}_proxy_enabled", f"{namespace}.{event}_proxy_name"
        if source.flag(on):
            names.setdefault(source.text(name) or DEFAULT, name if name in source.values else on)
        else:
            source.text(name, "not in use")
    return _one_of(source, names, f"channel.proxy.{event}")


def _of_rpc(source: Source) -> _Proxy | None:
    names: dict[str, str] = {}
    for prefix in (
        "rpc.without_namespace",
        *(f"rpc.namespaces.{n}" for n in source.names_under("rpc.namespaces")),
    ):
        source.note(f"{prefix}.name", TAKEN)
        on, name = f"{prefix}.proxy_enabled", f"{prefix}.proxy_name"
        if source.flag(on):
            names.setdefault(source.text(name) or DEFAULT, name if name in source.values else on)
        else:
            source.text(name, "not in use")
    if not names and _is_flat(source, RPC):
        names[DEFAULT] = f"{RPC}.endpoint"
    return _one_of(source, names, RPC)


def _one_of(source: Source, names: dict[str, str], default: str) -> _Proxy | None:
    if not names:
        return None
    if len(names) > 1:
        source.refuse(
            list(names.values())[1], "one kind of event has one address here: name the same proxy everywhere"
        )
        return None
    ((name, asked_for),) = names.items()
    key = default if name == DEFAULT else f"proxies.{name}"
    if not source.has(f"{key}.endpoint"):
        source.refuse(asked_for, f"there is no endpoint {key}.endpoint")
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
    for rest in [rest for rest in source.values if rest.startswith(f"{key}.") and rest not in source.rows]:
        source.note(rest, UNAVAILABLE, "a backend is asked in JSON over HTTP, and this is not part of it")
    return proxy
