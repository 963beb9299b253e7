"""What an organization chooses for itself."""

import msgspec
import pytest

from core.auth.organization import NAME_CHARACTERS_MAX, OrganizationOptions
from core.channels.namespace import ClientOptions, PersonalChannel


def test_what_concerns_connections_is_a_part_of_what_is_chosen() -> None:
    personal = PersonalChannel(enabled=True, namespace="users")
    options = OrganizationOptions(name="Acme", user_personal_channel=personal, channels_max=7, anonymous=True)
    assert options.clients == ClientOptions(user_personal_channel=personal, channels_max=7)


@pytest.mark.parametrize("name", ["", "a" * (NAME_CHARACTERS_MAX + 1)])
def test_an_organization_has_a_name_of_limited_length(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": name}, OrganizationOptions)
