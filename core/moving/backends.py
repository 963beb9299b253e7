"""The proxies of a Centrifugo configuration: where its backend is asked, and about what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from core.moving.source import TAKEN, UNAVAILABLE, Source

CONNECT: Final = "client.proxy.connect"
REFRESH: Final = "client.proxy.refresh"
RPC: Final = "rpc.proxy"
DEFAULT: Final = "default"
TIMEOUT_S: Final = 1.0
"""Of a proxy that names none."""

_HTTP: Final = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Asked:
    """One address that is asked about one kind of event."""

    url: str
    timeout_s: float
    http_headers: tuple[str, ...] = ()
    static_headers: dict[str, str] = field(default_factory=dict)
    include_meta: bool = False


@dataclass(frozen=True, slots=True)
class Backend:
    """The organization's own backend; None: it is not asked about such events."""

    connect: Asked | None = None
    refresh: Asked | None = None
    subscribe: Asked | None = None
    publish: Asked | None = None
    rpc: Asked | None = None


def backend_of(source: Source, namespaces: Sequence[str]) -> Backend:
    """Return whom to ask. `namespaces` are the keys under which options of channels stand.

    One kind of event has one address here: where namespaces disagree, the move is refused.
    """
    return Backend(
        _asked(source, CONNECT) if source.flag(f"{CONNECT}.enabled") or _is_flat(source, CONNECT) else None,
        _asked(source, REFRESH) if source.flag(f"{REFRESH}.enabled") or _is_flat(source, REFRESH) else None,
        _of_channels(source, "subscribe", namespaces),
        _of_channels(source, "publish", namespaces),
        _of_rpc(source),
    )


def _is_flat(source: Source, key: str) -> bool:
    # Before version 6 an endpoint alone turned its proxy on.
    return f"{key}.endpoint" in source.spelled and not source.spelled[f"{key}.endpoint"].isupper()


def _of_channels(source: Source, event: str, namespaces: Sequence[str]) -> Asked | None:
    names: dict[str, str] = {}
    for namespace in namespaces:
        on, name = f"{namespace}.{event}_proxy_enabled", f"{namespace}.{event}_proxy_name"
        if source.flag(on):
            names.setdefault(source.text(name) or DEFAULT, name if name in source.values else on)
        else:
            source.text(name, "not in use")
    return _one_of(source, names, f"channel.proxy.{event}")


def _of_rpc(source: Source) -> Asked | None:
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


def _one_of(source: Source, names: dict[str, str], default: str) -> Asked | None:
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
    return _asked(source, key)


def _asked(source: Source, key: str) -> Asked | None:
    source.note(f"{key}.name", TAKEN)
    url = source.text(f"{key}.endpoint")
    if not url.startswith(_HTTP):
        source.refuse(f"{key}.endpoint", "a backend is asked over HTTP: http:// or https://")
        return None
    timeout = f"{key}.timeout"
    asked = Asked(
        url,
        source.seconds(timeout) if source.has(timeout) else TIMEOUT_S,
        source.texts(f"{key}.http_headers"),
        source.mapping(f"{key}.http.static_headers"),
        source.flag(f"{key}.include_connection_meta"),
    )
    for rest in [rest for rest in source.values if rest.startswith(f"{key}.") and rest not in source.rows]:
        source.note(rest, UNAVAILABLE, "a backend is asked in JSON over HTTP, and this is not part of it")
    return asked
