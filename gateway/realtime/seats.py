"""The clients of one organization by their users: an order about one of them must not cost what all are."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Seated(Protocol):
    """One client, as far as this file knows it."""

    @property
    def client_id(self) -> str:
        """Its id."""
        ...


Client = TypeVar("Client", bound=Seated)


class Seats(Generic[Client]):
    """Who is connected. Most users are so once, and take no more than an entry."""

    __slots__ = ("_users",)

    def __init__(self) -> None:
        self._users: dict[str, Client | dict[str, Client]] = {}

    def __bool__(self) -> bool:
        return bool(self._users)

    def __iter__(self) -> Iterator[Client]:
        for user in self._users:
            yield from self.of(user)

    def of(self, user: str) -> list[Client]:
        """Return the clients of a user."""
        found = self._users.get(user)
        if found is None:
            return []
        return list(found.values()) if isinstance(found, dict) else [found]

    def take(self, user: str, client: Client) -> None:
        """Add a client."""
        found = self._users.get(user)
        if found is None:
            self._users[user] = client
        elif isinstance(found, dict):
            found[client.client_id] = client
        else:
            self._users[user] = {found.client_id: found, client.client_id: client}

    def leave(self, user: str, client: Client) -> None:
        """Take a client out; nothing happens when it is not there."""
        found = self._users.get(user)
        if found is client:
            del self._users[user]
        elif isinstance(found, dict):
            found.pop(client.client_id, None)
            if not found:
                del self._users[user]
