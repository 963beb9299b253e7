"""What a Centrifugo configuration becomes here: pure, so that it can be shown before anything is changed."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from core.auth.token_keys import SUBSCRIPTIONS, read_token_keys
from core.channels.name import NAME_CHARACTERS_MAX, SYSTEM
from core.channels.namespace import NAMESPACES_MAX, ChannelRules, ClientOptions, Options, PersonalChannel
from core.channels.regex import HEAVY_OF_ORGANIZATION_MAX, is_heavy, is_regex
from core.errors import TidingsError
from core.moving.backends import backend_of
from core.moving.found import source_of, take_the_rest
from core.moving.keys import judge_the_rest
from core.moving.older import NAMESPACES, WITHOUT
from core.moving.options import NAMES, options_of
from core.moving.source import SAME, TAKEN, UNAVAILABLE, Row, Source

_OF_CONNECTIONS: Final = "client.token"
_OF_SUBSCRIPTIONS: Final = "client.subscription_token"
_KEYS: Final = {
    "hmac_secret": "hmac_secret_key",
    "rsa_public_key": "rsa_public_key",
    "ecdsa_public_key": "ecdsa_public_key",
    "jwks_url": "jwks_public_endpoint",
    "issuer": "issuer",
    "issuer_pattern": "issuer_regex",
    "audience": "audience",
    "audience_pattern": "audience_regex",
    "user_claim": "user_id_claim",
}
_PERSONAL: Final = "client.subscribe_to_user_personal_channel"
_NAME: Final = re.compile(r"[-a-zA-Z0-9_.]{2,}", re.ASCII)
_NOTHING: Final = "there is nothing to take over: name a file, or set its variables (CENTRIFUGO_…)"
_ERROR_MODES: Final = frozenset({"", "transport"})


@dataclass(frozen=True, slots=True)
class ServerApi:
    """Who may use `/api`, and how it says no. `key` "": nobody's."""

    key: str = field(default="", repr=False)
    is_open: bool = False
    errors_by_status: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a move sets, wholly; and what becomes of each key that was found.

    `token_keys` is a document of `core.auth.token_keys`, `backend` one of `core.connections.backend_options`,
    each {} where there is nothing. As long as `refusals` holds a
    sentence, nothing may be set.
    """

    token_keys: dict[str, Any] = field(repr=False)
    anonymous: bool
    client_insecure: bool
    rules: ChannelRules
    server_api: ServerApi
    backend: dict[str, Any] = field(repr=False)
    rows: tuple[Row, ...]
    refusals: tuple[str, ...]


def plan_of(configuration: Mapping[str, Any], variables: Mapping[str, str], types: AbstractSet[str]) -> Plan:
    """Return what to set.

    Args:
        configuration: the parsed file.
        variables: its environment, which wins over the file, as there.
        types: names of the resource types. No namespace may have one of them: its channels are those of
            resources.
    """
    source = source_of(configuration, variables, NAMES)
    names = source.names_under(NAMESPACES)
    rules = _rules(source, names, types)
    backend = backend_of(source, [WITHOUT, *(f"{NAMESPACES}.{name}" for name in names)])
    token_keys = _token_keys(source)
    anonymous = source.flag("client.allow_anonymous_connect_without_token")
    insecure = source.flag("client.insecure", "everybody may do nearly everything, without a token")
    server_api = _server_api(source)
    take_the_rest(source)
    judge_the_rest(source)
    rows = tuple(source.rows[key] for key in source.values)
    if not source.refusals and not any(row.verdict == TAKEN for row in rows):
        source.refusals.append(_NOTHING)  # it would only wipe out what the organization says
    return Plan(token_keys, anonymous, insecure, rules, server_api, backend, rows, tuple(source.refusals))


def _rules(source: Source, names: list[str], types: AbstractSet[str]) -> ChannelRules:
    general = source.text("channel.publication_data_format")
    without = options_of(source, WITHOUT, general)
    namespaces = {name: options_of(source, f"{NAMESPACES}.{name}", general) for name in names}
    _check_names(source, names, types)
    _check_expressions(source, [without, *namespaces.values()])
    personal = PersonalChannel(
        enabled=source.flag(f"{_PERSONAL}.enabled"),
        namespace=source.text(f"{_PERSONAL}.personal_channel_namespace"),
        single_connection=source.flag(f"{_PERSONAL}.single_connection"),
    )
    if personal.enabled and personal.namespace and personal.namespace not in namespaces:
        source.refuse(f"{_PERSONAL}.personal_channel_namespace", "there is no such namespace")
    longest = source.number("channel.max_length") or NAME_CHARACTERS_MAX
    if longest > NAME_CHARACTERS_MAX:
        source.note("channel.max_length", UNAVAILABLE, f"names have at most {NAME_CHARACTERS_MAX} characters")
    clients = ClientOptions(
        disallow_anonymous_tokens=source.flag("client.disallow_anonymous_connection_tokens"),
        user_personal_channel=personal,
        channels_max=source.number("client.channel_limit"),
        connections_per_user_max=source.number("client.user_connection_limit"),
        channel_characters_max=min(longest, NAME_CHARACTERS_MAX),
    )
    return ChannelRules(without, namespaces, "refuse", clients)


def _check_names(source: Source, names: list[str], types: AbstractSet[str]) -> None:
    for name in names:
        key = f"{NAMESPACES}.{name}.name"
        source.note(key, TAKEN)
        if not _NAME.fullmatch(name):
            source.refuse(key, "a name has two or more letters, digits, -, _ and .")
        if name == SYSTEM:
            source.refuse(key, f"channels {name}:… are the system's own; rename the namespace")
        if name in types:
            source.refuse(
                key,
                f"{name} is a resource type, whose events stand in channels {name}:…; rename the namespace, "
                "or take the type's file out of the schemas",
            )
    if len(names) > NAMESPACES_MAX:
        source.refuse(NAMESPACES, f"there are more than {NAMESPACES_MAX}")


def _check_expressions(source: Source, options: list[Options]) -> None:
    regexes = [one.channel_regex for one in options if one.channel_regex and is_regex(one.channel_regex)]
    if sum(map(is_heavy, regexes)) > HEAVY_OF_ORGANIZATION_MAX:
        why = f"more than {HEAVY_OF_ORGANIZATION_MAX} have a channel_regex that compiles to more than 64 KiB"
        source.refuse(NAMESPACES, why)


def _token_keys(source: Source) -> dict[str, Any]:
    document: dict[str, Any] = {
        name: value for name, key in _KEYS.items() if (value := source.text(f"{_OF_CONNECTIONS}.{key}"))
    }
    if source.flag(f"{_OF_SUBSCRIPTIONS}.enabled"):
        document[SUBSCRIPTIONS] = {
            name: value for name, key in _KEYS.items() if (value := source.text(f"{_OF_SUBSCRIPTIONS}.{key}"))
        }
    else:
        for key in _KEYS.values():
            source.text(f"{_OF_SUBSCRIPTIONS}.{key}")
            source.note(f"{_OF_SUBSCRIPTIONS}.{key}", SAME, "not in use: there is one kind of key for both")
    try:
        read_token_keys(document)
    except TidingsError as error:
        for fault in error.members["errors"]:
            *of_subscriptions, name = fault["pointer"].removeprefix("#/").split("/")
            prefix = _OF_SUBSCRIPTIONS if of_subscriptions else _OF_CONNECTIONS
            source.refuse(f"{prefix}.{_KEYS[name]}", fault["detail"])
    return document


def _server_api(source: Source) -> ServerApi:
    is_disabled = source.flag("http_api.disabled", "no key is taken over, so nobody can use /api")
    key = source.text("http_api.key", "kept as it is, and opens /api alone")
    is_open = source.flag("http_api.insecure", "/api needs no key: whoever reaches it may do everything")
    mode = source.text("http_api.error_mode")
    if mode not in _ERROR_MODES:
        source.refuse("http_api.error_mode", 'must be "transport" or left out')
    if is_disabled:
        return ServerApi(errors_by_status=mode == "transport")
    return ServerApi(key, is_open, mode == "transport")
