"""Publications stay what they are."""

from tests.helpers.loop import run
from tests.helpers.rest import rest_of


def test_a_publication_is_no_document_and_keeps_its_bytes(database_url: str) -> None:
    async def scenario() -> None:
        async with rest_of(database_url) as api:
            data = b'{\n  "a": 1e300,\r\n\t"b": "\\u0000", "c": [ -0.0 ]\n}'
            for path, body in (
                ("/v1/channels/a/publications", b'{"data": %b }' % data),
                ("/v1/publish", b'{"items":[{"channel":"a","data": %b}]}' % data),
            ):
                assert (await api.post(path, body)).status < 300
            raw = (await api.get("/v1/channels/a/publications")).raw
            assert raw.count(b'"data":' + data) == 2
            assert data in (await api.get("/v1/events")).raw

    run(scenario())
