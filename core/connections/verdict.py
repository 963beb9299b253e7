"""Did this connection get that publication, and if not, why?

Judged from three things that are known anyway: where the publication stands, what its terms are, and the
connection's journey. No word is kept per publication and receiver.

"Delivered" means: written to a connection of which we heard afterwards, or that has not ended. Whether an
application looked at it nobody here can know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from core.channels.filter import matches
from core.connections.codes import (
    CONNECTION_CLOSED,
    INAPPROPRIATE_PROTOCOL,
    NO_PONG,
    SLOW,
    WRITE_ERROR,
    close_reason,
    unsubscribe_reason,
)
from core.connections.journey import End, Journey, Refused, Stay
from core.instants import MICROSECONDS, Instant, format_instant
from core.streams.event import OPAQUE, SPARES_SENDER, Event


class Verdict(Enum):
    """Every answer that there is."""

    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    CONFLATED = "conflated"
    FILTERED_OUT = "filtered_out"
    SENDER_EXCLUDED = "sender_excluded"
    CATCHING_UP = "catching_up"
    REFUSED = "refused"
    NOT_SUBSCRIBED = "not_subscribed"
    SUBSCRIBED_LATER = "subscribed_later"
    UNSUBSCRIBED_BEFORE = "unsubscribed_before"
    DISCONNECTED_BEFORE = "disconnected_before"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Publication:
    """What is asked about: a stored event where it stands in one channel of the present log."""

    channel: str
    offset: int
    epoch: str
    event: Event

    @property
    def at(self) -> Instant:
        """When it was committed."""
        return Instant(self.event.created_at)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The answer for one connection.

    Attributes:
        journey: of the connection.
        verdict: the answer.
        detail: it in one or two sentences, with what to do about it.
        stay: the subscription that decided.
        refusal: the refusal that decided.
        came_back_as: a later connection of the same user, which got it.
    """

    journey: Journey
    verdict: Verdict
    detail: str
    stay: Stay | None = None
    refusal: Refused | None = None
    came_back_as: str = ""


_TORN: Final = frozenset({0, CONNECTION_CLOSED, SLOW, WRITE_ERROR, NO_PONG})
"""Ends of connections that may have left something unread behind them."""
_MISSED: Final = frozenset({Verdict.UNCONFIRMED, Verdict.DISCONNECTED_BEFORE, Verdict.UNSUBSCRIBED_BEFORE})

_CAUSES: Final = {
    SLOW: "It read too slowly: send it less (filter, max_rate, delta), or read faster.",
    NO_PONG: "It did not answer pings: its network was gone, or its program was blocked.",
    INAPPROPRIATE_PROTOCOL: "A payload was to come that is not JSON: connect it with protobuf.",
}
_RETURNS: Final = (
    "SDKs come back from this by themselves, and get what they missed where the channel recovers."
)
_STAYS_AWAY: Final = "SDKs do not come back from this by themselves: the application must connect anew."
_TERMINAL: Final = (range(3500, 4000), range(4500, 5000))
_RESUBSCRIBES: Final = 2500


def judge_all(publication: Publication, journeys: Sequence[Journey], *, doubt_s: float) -> list[Delivery]:
    """Return the answer for each connection, in the same order.

    Of one that missed the publication it is also said whether its user came back and got it: on another of
    these connections, that is.

    Args:
        publication: what is asked about.
        journeys: of the connections.
        doubt_s: how long a connection may have been dead when its end is noticed: ping and pong together.
    """
    deliveries = [judge(publication, journey, doubt_s=doubt_s) for journey in journeys]
    got_it = [delivery for delivery in deliveries if delivery.verdict is Verdict.DELIVERED]
    return [_with_return(delivery, got_it) for delivery in deliveries]


def _with_return(missed: Delivery, got_it: Sequence[Delivery]) -> Delivery:
    came, stay = missed.journey.came, missed.stay
    if missed.verdict not in _MISSED or stay is None or stay.end is None or not came.user:
        return missed
    for delivery in got_it:
        other = delivery.journey.came
        if other.user == came.user and other.at >= stay.end.at:
            detail = f"{missed.detail} Its user came back as {other.client}, which got it."
            return replace(missed, detail=detail, came_back_as=other.client)
    return missed


def judge(publication: Publication, journey: Journey, *, doubt_s: float) -> Delivery:
    """Return the answer for one connection."""
    stays = [stay for stay in journey.stays(publication.channel) if stay.began.epoch == publication.epoch]
    for stay in stays:
        if stay.covers(publication.offset):
            return _of_turn(publication, journey, stay, doubt_s)
        if stay.end is None and publication.offset > stay.sent:
            return _of_reading(journey, stay)
    return _of_absence(publication, journey, stays)


def _of_turn(publication: Publication, journey: Journey, stay: Stay, doubt_s: float) -> Delivery:
    """Answer for a subscription during which the publication had its turn."""
    if publication.offset > stay.sent and publication.at > journey.told_until:
        return _untold(journey, stay)
    is_read = stay.live_offset is None or publication.offset <= stay.live_offset
    terms = _of_terms(publication, journey, stay, is_read=is_read)
    if terms is not None:
        return terms
    written_at = Instant(max(publication.at, stay.began.at)) if is_read else publication.at
    end = stay.end
    if end is not None and _is_in_doubt(end, written_at, doubt_s):
        late_s = (end.at - written_at) / MICROSECONDS
        said = f"It was written {late_s:.1f} s before the connection ended, and may not have been read."
        return Delivery(journey, Verdict.UNCONFIRMED, f"{said} {_ended(end)}", stay)
    how = "read from the log for it as it caught up" if is_read else "written to it as it came"
    said = f"It was {how}: look at what the client does with it, and at what stands between."
    return Delivery(journey, Verdict.DELIVERED, said, stay)


def _of_terms(publication: Publication, journey: Journey, stay: Stay, *, is_read: bool) -> Delivery | None:
    """Answer with the terms of the subscription, if it is these that decide.

    `is_read`: it was read from the log for this client alone, where the rate does not count.
    """
    event, began, end = publication.event, stay.began, stay.end
    if began.has_filter and began.filter is None:
        return _unknown(journey, "Its filter is too large to be kept: try it without one.", stay)
    if began.filter is not None and not matches(began.filter, event.tags):
        said = "The subscription's filter does not match its tags: change the filter or the tags."
        return Delivery(journey, Verdict.FILTERED_OUT, said, stay)
    if event.flags & OPAQUE and end is not None and end.code == INAPPROPRIATE_PROTOCOL:
        return Delivery(journey, Verdict.DISCONNECTED_BEFORE, _ended(end), stay)
    if event.flags & SPARES_SENDER and event.info is not None and event.info.client == journey.came.client:
        said = "It published this itself, with exclude_self: publish without, to hear it."
        return Delivery(journey, Verdict.SENDER_EXCLUDED, said, stay)
    if began.max_rate and not is_read:
        said = (
            f"It takes at most {began.max_rate:g} publications a second: it got this one, or a later one of "
            "the same key in its place. Subscribe without max_rate to get each."
        )
        return Delivery(journey, Verdict.CONFLATED, said, stay)
    return None


def _is_in_doubt(end: End, written_at: Instant, doubt_s: float) -> bool:
    is_torn = end.of_connection and end.code in _TORN
    return is_torn and end.at - written_at < doubt_s * MICROSECONDS


def _of_reading(journey: Journey, stay: Stay) -> Delivery:
    """Answer for a subscription that has not come so far yet."""
    if not journey.is_alive:
        return _untold(journey, stay)
    said = (
        f"It is still catching up: everything up to offset {stay.sent} was sent, page by page, as fast as it "
        "reads. Ask again later."
    )
    return Delivery(journey, Verdict.CATCHING_UP, said, stay)


def _of_absence(publication: Publication, journey: Journey, stays: Sequence[Stay]) -> Delivery:
    """Answer for a connection that had no subscription when it was the publication's turn."""
    later = next((stay for stay in stays if stay.began.start >= publication.offset), None)
    before = next((stay for stay in reversed(stays) if stay.began.start < publication.offset), None)
    if later is None and journey.ended is None and publication.at > journey.told_until:
        return _untold(journey, before)
    if before is not None and before.end is not None:
        return _of_end(journey, before, before.end, later)
    if _is_forgotten(publication, journey, later):
        return _unknown(journey, "What it did then is not remembered any more.")
    if later is not None:
        return Delivery(journey, Verdict.SUBSCRIBED_LATER, _began_behind(later), later)
    refusal = journey.refusal(publication.channel) or journey.refusal("")
    if refusal is not None:
        what = "subscribe" if refusal.channel else "connect"
        said = f"Its {what} was answered with error {refusal.code}: see docs/protocol.md for what that wants."
        return Delivery(journey, Verdict.REFUSED, said, refusal=refusal)
    said = "It never subscribed to the channel: subscribe, with the position 0 to get what is there already."
    return Delivery(journey, Verdict.NOT_SUBSCRIBED, said)


def _is_forgotten(publication: Publication, journey: Journey, later: Stay | None) -> bool:
    """Say whether there may have been a subscription of which nobody knows."""
    if not journey.came.is_retold:
        return journey.is_cut
    told_at = journey.came.at
    return journey.is_cut or publication.at <= told_at or (later is not None and later.began.at == told_at)


def _of_end(journey: Journey, stay: Stay, end: End, later: Stay | None) -> Delivery:
    verdict = Verdict.DISCONNECTED_BEFORE if end.of_connection else Verdict.UNSUBSCRIBED_BEFORE
    said = _ended(end)
    if later is not None:
        said += f" It subscribed again from offset {later.began.start}, which lies behind it."
    return Delivery(journey, verdict, said, stay)


def _ended(end: End) -> str:
    """Say how a subscription ended, and what comes of that."""
    at = format_instant(end.at)
    if not end.of_connection:
        if not end.code:
            return f"The client unsubscribed at {at}: it must subscribe again, from its last position."
        how = f"The server ended its subscription at {at} with {end.code} ({unsubscribe_reason(end.code)})."
        if end.code >= _RESUBSCRIBES:
            return f"{how} SDKs subscribe again by themselves, from their last position."
        return f"{how} SDKs stay away from the channel: the application must subscribe again."
    if not end.code:
        return f"The client or the network ended the connection at {at}. {_RETURNS}"
    how = f"The connection ended at {at} with {end.code} ({end.reason or close_reason(end.code)})."
    is_terminal = any(end.code in codes for codes in _TERMINAL)
    cause = _CAUSES.get(end.code)
    return " ".join(filter(None, (how, cause, _STAYS_AWAY if is_terminal else _RETURNS)))


def _began_behind(stay: Stay) -> str:
    """Say why a subscription did not begin before the publication."""
    began, at = stay.began, format_instant(Instant(stay.began.at))
    where = f"It subscribed at {at}, and its subscription began behind offset {began.start}"
    if not began.was_recovering:
        return f"{where}: subscribe with the position that it has (recover) to get what came before."
    if began.recovered:
        return f"{where}, since the client said that it had everything up to there: look at what it kept."
    return (
        f"{where}: the position from which it wanted to recover could not be served. Reload the state, and "
        "look at the channel's history options."
    )


def _untold(journey: Journey, stay: Stay | None = None) -> Delivery:
    until = format_instant(journey.told_until)
    if journey.is_alive:
        return _unknown(
            journey, f"Its replica has told what happened until {until}: ask again in a moment.", stay
        )
    return _unknown(
        journey, f"Its replica has told nothing since {until}: it has stopped or lost its word.", stay
    )


def _unknown(journey: Journey, said: str, stay: Stay | None = None) -> Delivery:
    return Delivery(journey, Verdict.UNKNOWN, said, stay)
