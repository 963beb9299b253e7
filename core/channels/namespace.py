"""Namespaces: which channels may do what.

A channel belongs to the namespace before its first colon (`core/channels/name.py`). An organization may give
a namespace, and the channels without one, options of its own; then nothing holds but what these say, and what
they don't name is off. Wherever it says nothing, `OWN` holds, what Tidings itself thinks right. Options carry
the names and the meaning that they have in the Centrifuge world.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from core.channels.name import (
    NAME_CHARACTERS_MAX,
    SYSTEM,
    USER_BOUNDARY,
    is_text,
    is_valid,
    namespace_of,
    rest_of,
)
from core.channels.regex import CHARACTERS_MAX, is_regex, occurs

WITHOUT_NAMESPACE: Final = "_"
"""Stands for the channels without namespace where namespaces are listed."""
NAMESPACES_MAX: Final = 1_000
"""That one organization may have; they are read and kept together."""
COUNT_MAX: Final = 2**31 - 1
IN_FORCE_AFTER_S: Final = 2.0
"""When a change holds everywhere for certain: a process believes for a second what it has read."""

S = TypeVar("S", bound=msgspec.Struct)

_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the channels of one namespace may do. Everything is off when absent.

    `history`: what those who speak the Centrifuge protocol see of the log (`core/channels/visible.py`).
    `ephemeral`: publications are not stored, delivered at most once and without an offset. `guard_private`:
    what is allowed to clients at large ends at the names with `$` or `#`, where only subscribers may.
    `occupancy`: a system channel tells how many are in the channels, as presence counts them.
    """

    presence: bool = False
    join_leave: bool = False
    force_push_join_leave: bool = False
    force_positioning: bool = False
    allow_positioning: bool = False
    force_recovery: bool = False
    force_recovery_mode: Literal["stream", "cache"] = "stream"
    allow_recovery: bool = False
    history: Literal["whole", "window", "off"] = "off"
    history_size: _Count = 0
    history_ttl_s: _Count = 0
    delta_publish: bool = False
    allowed_delta_types: Annotated[tuple[Literal["fossil"], ...], msgspec.Meta(max_length=1)] = ()
    allow_tags_filter: bool = False
    allow_user_limited_channels: bool = False
    allow_subscribe_for_client: bool = False
    allow_subscribe_for_anonymous: bool = False
    allow_publish_for_client: bool = False
    allow_publish_for_anonymous: bool = False
    allow_publish_for_subscriber: bool = False
    allow_history_for_client: bool = False
    allow_history_for_anonymous: bool = False
    allow_history_for_subscriber: bool = False
    allow_presence_for_client: bool = False
    allow_presence_for_anonymous: bool = False
    allow_presence_for_subscriber: bool = False
    publication_data_format: Literal["", "json", "json_object", "binary"] = ""
    channel_regex: Annotated[str, msgspec.Meta(max_length=CHARACTERS_MAX)] = ""
    subscribe_proxy: bool = False
    publish_proxy: bool = False
    ephemeral: bool = False
    guard_private: bool = False
    occupancy: bool = False


OWN: Final = Options(
    allow_positioning=True,
    allow_recovery=True,
    history="whole",
    delta_publish=True,
    allowed_delta_types=("fossil",),
    allow_tags_filter=True,
    allow_subscribe_for_client=True,
    allow_subscribe_for_anonymous=True,
    allow_history_for_client=True,
    allow_history_for_anonymous=True,
    allow_history_for_subscriber=True,
    publication_data_format="json",
    guard_private=True,
)
"""Where nothing is configured. Clients then publish where the organization's `client_publish` is on."""
OF_SYSTEM: Final = Options(
    allow_positioning=True,
    allow_recovery=True,
    history="whole",
    allow_history_for_subscriber=True,
    publication_data_format="json",
    guard_private=True,
)
"""Of the system's own channels, whatever is configured: users come with a token for it, nobody publishes."""


class PersonalChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The channel of its own that every user's connection is subscribed to.

    `single_connection`: a new connection of the user ends the others.
    """

    enabled: bool = False
    namespace: Annotated[
        str, msgspec.Meta(pattern=r"^([-a-zA-Z0-9_.]{2,})?$", max_length=NAME_CHARACTERS_MAX)
    ] = ""
    single_connection: bool = False


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an organization demands of connections, whatever the channel.

    `disallow_anonymous_tokens`: a connection token names a user. A limit of 0 is left to the installation.
    """

    disallow_anonymous_tokens: bool = False
    user_personal_channel: PersonalChannel = PersonalChannel()
    channels_max: _Count = 0
    connections_per_user_max: _Count = 0
    channel_characters_max: Annotated[int, msgspec.Meta(ge=1, le=NAME_CHARACTERS_MAX)] = NAME_CHARACTERS_MAX


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """All rules of one organization.

    `unknown`: whether channels of a namespace that is neither configured nor a resource type exist.
    """

    without: Options = OWN
    namespaces: Mapping[str, Options] = field(default_factory=dict)
    unknown: Literal["allow", "refuse"] = "allow"
    clients: ClientOptions = field(default_factory=ClientOptions)

    def options_of(self, channel: str, types: AbstractSet[str]) -> Options | None:
        """Return what holds for a channel; None: its namespace is unknown.

        `types`: the names of the resource types, which are known namespaces, configured or not.
        """
        namespace = namespace_of(channel)
        if not namespace:
            return self.without
        if namespace == SYSTEM:
            return OF_SYSTEM
        options = self.namespaces.get(namespace)
        if options is not None:
            return options
        return OWN if self.unknown == "allow" or namespace in types else None

    def personal_channel(self, user: str, types: AbstractSet[str]) -> str:
        """Return the personal channel of a user; "" when there is none, or his id fits into no name.

        `types`: as above.
        """
        personal = self.clients.user_personal_channel
        if not personal.enabled or not user:
            return ""
        namespace = f"{personal.namespace}:" if personal.namespace else ""
        channel = f"{namespace}{USER_BOUNDARY}{user}"
        options = self.options_of(channel, types)
        # Where the namespace has its own rule of names, an id that is no ASCII may fit into one.
        fits = is_valid(channel) or (options is not None and fits_name(self, options, channel))
        return channel if fits else ""


def fits_name(rules: ChannelRules, options: Options, channel: str) -> bool:
    """Say whether a channel of these options can have this name."""
    size = len(channel) if channel.isascii() else len(channel.encode(errors="surrogatepass"))
    if size > rules.clients.channel_characters_max:
        return False
    if not options.channel_regex:
        return is_valid(channel)
    # What the expression sees is the name behind the namespace, as in the Centrifuge world.
    return is_text(channel) and occurs(options.channel_regex, rest_of(channel))


def faults_of(options: Options) -> list[tuple[str, str, str]]:
    """Return what is wrong with options whose types are right, as (pointer, code, detail)."""
    faults = []
    if options.history == "window":
        sizes = {"history_size": options.history_size, "history_ttl_s": options.history_ttl_s}
        faults += [
            (f"#/{name}", "too_small", "A window has a size and a time, both above 0.")
            for name, size in sizes.items()
            if not size
        ]
    if options.occupancy and not options.presence:
        faults.append(("#/occupancy", "not_allowed", "It tells what presence counts, which is off."))
    if options.channel_regex and not is_regex(options.channel_regex):
        detail = "No regular expression, or one that takes too much memory; RE2's syntax, no look-around."
        faults.append(("#/channel_regex", "pattern", detail))
    return faults


def stored_options(stored: Mapping[str, Any]) -> Options:
    """Return options as they were stored; what only a newer release knows is left out."""
    return _known(Options, stored)


def stored_client_options(stored: Mapping[str, Any]) -> ClientOptions:
    """Return the options of connections as they were stored, like `stored_options`."""
    return _known(ClientOptions, stored)


def _known(kind: type[S], stored: Mapping[str, Any]) -> S:
    return msgspec.convert({name: stored[name] for name in kind.__struct_fields__ if name in stored}, kind)
