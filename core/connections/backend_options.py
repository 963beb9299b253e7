"""What an organization says of its own backend: which events it is asked about, where and how.

Names and meanings are those of Centrifugo's proxies, so that backends need not change.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from core.resources.document import FieldFault, invalid, pointer_to, read_document, without_nulls
from core.resources.typed import typed
from core.webhooks.signature import read_secret, show_secret

URL_CHARACTERS_MAX: Final = 2_048
TIMEOUT_MS_MIN: Final = 50
TIMEOUT_MS_MAX: Final = 30_000
HEADERS_MAX: Final = 32
NAME_CHARACTERS_MAX: Final = 128
VALUE_CHARACTERS_MAX: Final = 4_096

_OURS: Final = frozenset(
    {"host", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "accept-encoding"}
)
_OURS_FROM: Final = ("content-", "transfer-", "proxy-", "sec-websocket-", "webhook-", "tidings-")
"""Headers that frame a call or sign it: nobody else's go through."""
_ADDRESS: Final = ("forwarded", "x-forwarded-", "x-real-ip")
"""Headers that a backend believes of whoever stands before it: no client makes them up."""
_HEADER_NAME: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
"""RFC 9110 §5.6.2."""
_VALUE: Final = re.compile(rf"[\x20-\x7e]{{0,{VALUE_CHARACTERS_MAX}}}")

_Url = Annotated[str, msgspec.Meta(max_length=URL_CHARACTERS_MAX)]
_Header = Annotated[str, msgspec.Meta(pattern=_HEADER_NAME, max_length=NAME_CHARACTERS_MAX)]
_Headers = Annotated[tuple[_Header, ...], msgspec.Meta(max_length=HEADERS_MAX)]


class Endpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the backend is asked about each event; nowhere, for no URL."""

    connect: _Url = ""
    refresh: _Url = ""
    subscribe: _Url = ""
    publish: _Url = ""
    rpc: _Url = ""
    message: _Url = ""


class _Shown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    endpoints: Endpoints = Endpoints()
    timeout_ms: Annotated[int, msgspec.Meta(ge=TIMEOUT_MS_MIN, le=TIMEOUT_MS_MAX)] = 1_000
    http_headers: _Headers = ()
    """Of the request that opened the connection, those that are passed on."""
    emulated_headers: _Headers = ()
    """Of those that the client wrote into its connect, those that are passed on where no real one stands."""
    include_meta: bool = False
    """Whether the connection's `meta` is passed on."""
    binary_encoding: bool = False
    """Whether payloads are passed on as base64."""


class BackendOptions(_Shown, frozen=True, kw_only=True):
    """The options of one organization. They hold secrets: stored sealed, never logged."""

    static_headers: dict[str, str] = {}
    """Sent with every call, unless one of the same name is passed on."""
    secret: str = ""
    """`whsec_…`: calls are signed with it, as Standard Webhooks are."""

    def to_bytes(self) -> bytes:
        """Return them as they are sealed."""
        return _ENCODER.encode(self)

    @classmethod
    def of_bytes(cls, raw: bytes) -> "BackendOptions":
        """Return what `to_bytes` gave."""
        return _DECODER.decode(raw)

    def url_of(self, event: str) -> str:
        """Return where an event is asked about; "": nowhere."""
        url: str = getattr(self.endpoints, event)
        return url

    def __repr__(self) -> str:
        return f"BackendOptions(endpoints={self.endpoints!r})"


class _Given(_Shown, frozen=True, kw_only=True, forbid_unknown_fields=True):
    static_headers: Annotated[dict[str, str], msgspec.Meta(max_length=HEADERS_MAX)] | None = None
    secret: str | None = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(BackendOptions)


def read_options(body: bytes, current: BackendOptions, new_secret: bytes) -> BackendOptions:
    """Return the options that a request sets in place of the `current` ones.

    What is not shown stays unless it is given: `static_headers`, and `secret`; where there was none yet it is
    `new_secret`. Whether the URLs may be called is for others to judge.

    Raises:
        TidingsError: `malformed_request`, `validation_failed`.
    """
    given = typed(_Given, without_nulls(read_document(body)))
    static = current.static_headers if given.static_headers is None else given.static_headers
    if faults := _faults(given, static):
        raise invalid("The body is not valid.", faults)
    secret = current.secret or show_secret(new_secret)
    if given.secret is not None:
        secret = show_secret(read_secret(given.secret))
    shown: dict[str, Any] = {name: getattr(given, name) for name in _Shown.__struct_fields__}
    return BackendOptions(**shown, static_headers=static, secret=secret)


def options_object(options: BackendOptions) -> dict[str, Any]:
    """Return the options as they are shown: without secrets, of which their names and being tell."""
    shown = {name: msgspec.to_builtins(getattr(options, name)) for name in _Shown.__struct_fields__}
    hidden = {"static_headers": sorted(options.static_headers), "has_secret": options.secret != ""}
    return {"object": "backend", **shown, **hidden}


def _faults(given: _Given, static: Mapping[str, str]) -> list[FieldFault]:
    return [
        *_faults_of_names("http_headers", enumerate(given.http_headers)),
        *_faults_of_names("emulated_headers", enumerate(given.emulated_headers), _ADDRESS),
        *_faults_of_names("static_headers", zip(static, static, strict=True)),
        *(
            (pointer_to("static_headers", name), "pattern", "A name is a token, a value printable ASCII.")
            for name, value in static.items()
            if not (re.fullmatch(_HEADER_NAME, name) and is_header_value(value))
        ),
    ]


def _faults_of_names(
    member: str, names: Iterable[tuple[int | str, str]], forbidden: tuple[str, ...] = ()
) -> Iterator[FieldFault]:
    for place, name in names:
        lower = name.lower()
        if lower in _OURS or lower.startswith((*_OURS_FROM, *forbidden)):
            yield pointer_to(member, place), "not_allowed", "No such header is passed on."


def is_header_value(text: str) -> bool:
    """Say whether this can stand in a header: nothing in it ends the line."""
    return _VALUE.fullmatch(text) is not None


def passed_on(
    options: BackendOptions, real: Mapping[str, str], emulated: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers of a call besides those that frame and sign it, by lower-case name.

    Args:
        options: which headers those are.
        real: of the request that opened the connection, by lower-case name; they win over the others.
        emulated: what the client wrote into its connect, as it wrote it.
    """
    found = {name.lower(): value for name, value in options.static_headers.items()}
    written = {name.lower(): value for name, value in emulated.items()}
    for names, values in ((options.emulated_headers, written), (options.http_headers, real)):
        for name in map(str.lower, names):
            value = values.get(name)
            if value is not None and is_header_value(value):
                found[name] = value
    return found
