"""Tokens of clients over REST: made, taken back, and whose are believed."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

import msgspec
import orjson

from adapters.postgres.tokens import TokenStore
from core.auth.jwt import TOKEN_BYTES_MAX, write_jwt
from core.auth.override import OverrideClaim
from core.auth.principal import Organization
from core.auth.revocation import Revocation
from core.auth.token_keys import TokenKeys, read_token_keys, shown_token_keys
from core.auth.tokens import connection_claims, subscription_claims
from core.auth.verification import Verified
from core.channels.name import is_valid
from core.connections.orders import ORDER, Disconnect, Order, Revoke, Who, encode_order
from core.errors import Code, TidingsError
from core.ids import encode
from core.instants import DAY, MICROSECONDS, Instant, format_instant, parse_instant
from core.ports import Clock
from core.resources.document import FieldFault, invalid, pointer_to, read_document, without_nulls
from core.resources.typed import typed
from core.streams.command import Claim, Publish
from core.streams.outcome import Outcome
from gateway.api.call import JSON, PRIVATE, Answer, Call, Endpoint, Header, Route
from gateway.api.idempotency import fingerprint, key_of
from gateway.api.once import once
from gateway.api.outcomes import REPLAYED, committed
from gateway.api.writing import Writing
from gateway.auth import Authenticator

YEAR_S: Final = 365 * 86_400
LIFETIME_DEFAULT_S: Final = 3_600
USER_CHARACTERS_MAX: Final = 255
ID_CHARACTERS_MAX: Final = 255
CHANNELS_MAX: Final = 1_000
INVALID_TOKEN: Final = 3_500
"""Ends a connection for good: its client does not come back with the same token."""

_Seconds = Annotated[int, msgspec.Meta(ge=1, le=YEAR_S)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=USER_CHARACTERS_MAX)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
_Channel = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]


class _Override(OverrideClaim, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class _Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Of one subscription; the members are those of the claims."""

    info: Any = None
    data: Any = None
    override: _Override = _Override()


class _ConnectionToken(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    user: _Name
    expires_in_s: _Seconds = LIFETIME_DEFAULT_S
    info: Any = None
    channels: Annotated[tuple[_Channel, ...], msgspec.Meta(max_length=CHANNELS_MAX)] = ()
    subs: Annotated[dict[_Channel, _Terms], msgspec.Meta(max_length=CHANNELS_MAX)] = {}
    meta: Any = None


class _SubscriptionToken(_Terms, frozen=True, kw_only=True):
    user: _Name
    channel: _Channel
    expires_in_s: _Seconds = LIFETIME_DEFAULT_S
    client: _Id | None = None


class _Revocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With a `client` or `session`, just this connection is ended; else tokens are taken back."""

    user: Annotated[str, msgspec.Meta(max_length=USER_CHARACTERS_MAX)]
    issued_before: str | None = None
    token_id: _Id | None = None
    keep_s: _Seconds = YEAR_S
    client: _Id | None = None
    session: _Id | None = None


class OwnTokens:
    """Serves `/v1/connection_tokens` and `/v1/organization/token_keys`.

    A token is made and kept nowhere: the same request makes another one. Of a revocation under a key the
    moment is kept, and the rest is done again.

    Args:
        store: what organizations brought along and took back.
        authenticator: knows the organization's own secret.
        writing: carries orders to the replicas.
        clock: times.
        revocations_max: in force at a time, of one organization.
    """

    def __init__(
        self,
        store: TokenStore,
        authenticator: Authenticator,
        writing: Writing,
        clock: Clock,
        revocations_max: int,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._writing = writing
        self._clock = clock
        self._revocations_max = revocations_max

    def routes(self) -> list[Route]:
        """Return what is served here."""
        json = frozenset({JSON})
        return [
            Route(
                "/v1/organization/token_keys",
                {
                    "GET": Endpoint(self._keys, "organization:read"),
                    "PUT": Endpoint(
                        once(self._writing, self._set_keys), "organization:write", media_types=json
                    ),
                },
            ),
            Route(
                "/v1/connection_tokens",
                {"POST": Endpoint(self._make, "tokens:write", media_types=json)},
            ),
            Route(
                "/v1/connection_tokens/revoke",
                {"POST": Endpoint(self._revoke, "tokens:write", media_types=json)},
            ),
        ]

    # Whose tokens are believed.

    async def _keys(self, call: Call) -> Answer:
        return await self._shown_keys(call, await self._store.token_keys(call.organization_id))

    async def _set_keys(self, call: Call) -> Answer:
        document = without_nulls(read_document(call.body))
        read_token_keys(document)
        await self._store.set_token_keys(call.organization_id, document)
        return await self._shown_keys(call, document)

    async def _shown_keys(self, call: Call, document: dict[str, Any]) -> Answer:
        organization = await self._authenticator.organization(call.organization_id)
        shown = shown_token_keys(document, organization.token_secret)
        return Answer(200, orjson.dumps({"object": "token_keys", **shown}), cache=PRIVATE)

    # Making.

    async def _make(self, call: Call) -> Answer:
        document = without_nulls(read_document(call.body))
        if "channel" in document:
            wanted: _ConnectionToken | _SubscriptionToken = typed(_SubscriptionToken, document)
        else:
            wanted = typed(_ConnectionToken, document)
        if faults := _bad_channels(document):
            raise invalid("No channel has this name.", faults)
        organization = await self._authenticator.organization(call.organization_id)
        now, token_id = self._clock.now(), encode("tok", self._writing.new_id())
        expires_at_s = now // MICROSECONDS + wanted.expires_in_s
        claims = msgspec.to_builtins(wanted)
        del claims["user"]
        claims.pop("expires_in_s", None)
        # To the microsecond, so that a token made just after a revocation is not meant by it.
        claims |= {"sub": wanted.user, "exp": expires_at_s, "iat": now / MICROSECONDS, "jti": token_id}
        claims["org"] = encode("org", call.organization_id)
        raw = orjson.dumps(claims | _expected(organization, wanted))
        _check_user(organization, wanted, raw, now)
        token = write_jwt(raw, organization.token_secret)
        if len(token) > TOKEN_BYTES_MAX:
            raise TidingsError(Code.RULE_VIOLATED, f"A token has at most {TOKEN_BYTES_MAX} bytes.")
        expires_at = format_instant(Instant(expires_at_s * MICROSECONDS))
        shown = {"object": "connection_token", "token": token, "token_id": token_id, "expires_at": expires_at}
        return Answer(200, orjson.dumps(shown))

    # Taking back.

    async def _revoke(self, call: Call) -> Answer:
        wanted = typed(_Revocation, without_nulls(read_document(call.body)))
        if wanted.client is not None or wanted.session is not None:
            return await self._end(call, wanted)
        now = self._clock.now()
        until = None if wanted.issued_before is None else _instant(wanted.issued_before, now)
        now, headers = await self._first_asked(call, now)
        before = now if until is None else until
        revocation = Revocation(wanted.user, before, wanted.token_id or "")
        expires_at = Instant(max(now, before) + wanted.keep_s * MICROSECONDS)
        if not await self._store.revoke(call.organization_id, revocation, expires_at, self._revocations_max):
            detail = f"{self._revocations_max} revocations are in force; keep_s lets them end sooner."
            raise TidingsError(Code.RULE_VIOLATED, detail)
        # Nothing hangs on this: it is stored, and a replica that misses the word looks there each second.
        await self._tell(call, Revoke(Who(wanted.user), before / MICROSECONDS, revocation.token_id))
        shown = {
            "object": "revocation",
            "user": wanted.user,
            "token_id": wanted.token_id,
            "issued_before": format_instant(before),
            "expires_at": format_instant(expires_at),
        }
        return Answer(200, orjson.dumps(shown), headers)

    async def _first_asked(self, call: Call, now: Instant) -> tuple[Instant, tuple[Header, ...]]:
        """Return when this was asked for first, and what tells that it was before.

        Else a repeat would take back what its user was given since.
        """
        key = key_of(call.headers)
        if not key:
            return now, ()
        claim = self._writing.submit(call, Claim(b"%d" % now), key=key, fingerprint=fingerprint(call))
        claimed = committed(await claim)
        return Instant(int(claimed.document or now)), (REPLAYED,) if claimed.replayed else ()

    async def _end(self, call: Call, wanted: _Revocation) -> Answer:
        if wanted.issued_before is not None or wanted.token_id is not None:
            fault = ("#/client", "not_allowed", "Name tokens, or a connection.")
            raise invalid("The body is not valid.", [fault])
        who = Who(wanted.user, wanted.client or "", wanted.session or "")
        committed(await self._tell(call, Disconnect(who, INVALID_TOKEN)))
        shown = {
            "object": "revocation",
            "user": wanted.user,
            "client": wanted.client,
            "session": wanted.session,
        }
        return Answer(200, orjson.dumps(shown))

    def _tell(self, call: Call, order: Order) -> Awaitable[Outcome]:
        return self._writing.submit(call, Publish(("",), encode_order(order), ephemeral=True, kind=ORDER))


def _keys_for(organization: Organization, wanted: _ConnectionToken | _SubscriptionToken) -> TokenKeys:
    keys = organization.token_keys
    return keys.of_subscriptions if isinstance(wanted, _SubscriptionToken) else keys


def _expected(organization: Organization, wanted: _ConnectionToken | _SubscriptionToken) -> dict[str, str]:
    """Return the claims without which the organization believes no token, whoever signed it."""
    keys = _keys_for(organization, wanted)
    claims = {"iss": keys.issuer.exact, "aud": keys.audience.exact, keys.user_claim: wanted.user}
    return {name: value for name, value in claims.items() if value}


def _check_user(
    organization: Organization,
    wanted: _ConnectionToken | _SubscriptionToken,
    claims: bytes,
    now: Instant,
) -> None:
    """Accept claims by which the organization will know this user.

    Raises:
        TidingsError: `rule_violated`, its own rules stand against it.
    """
    judge = subscription_claims if isinstance(wanted, _SubscriptionToken) else connection_claims
    try:
        user = judge(Verified(claims), _keys_for(organization, wanted), now).user
    except TidingsError:
        user = ""
    if user != wanted.user:
        detail = "The organization's token_keys ask for an issuer, audience or user_claim that it can't have."
        raise TidingsError(Code.RULE_VIOLATED, detail)


def _instant(text: str, now: Instant) -> Instant:
    try:
        at = parse_instant(text)
    except ValueError:
        fault = ("#/issued_before", "format", "Must be a time as in 2026-11-22T16:20:32Z.")
        raise invalid("The body is not valid.", [fault]) from None
    if at > now + DAY:
        fault = ("#/issued_before", "too_large", "Must not be more than a day ahead.")
        raise invalid("The body is not valid.", [fault])
    return at


def _bad_channels(document: dict[str, Any]) -> list[FieldFault]:
    """Return the faults of names that no channel can have."""
    named = [(pointer_to("channels", place), name) for place, name in enumerate(document.get("channels", ()))]
    named += [(pointer_to("subs", name), name) for name in document.get("subs", ())]
    if "channel" in document:
        named.append((pointer_to("channel"), document["channel"]))
    return [
        (pointer, "pattern", "No channel has this name.") for pointer, name in named if not is_valid(name)
    ]
