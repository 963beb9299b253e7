"""What `tidings up` prints once all of it runs: where, who, and snippets that work as they stand."""

from cli.first import First
from cli.screen import Screen
from core.ids import encode
from settings import Settings

SNIPPETS = """
Create a room and a message in it:

  curl -s {url}/v1/rooms -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' -d '{{"external_id": "lobby", "name": "Lobby"}}'
  curl -s {url}/v1/messages -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' -d '{{"room_id": "ext:lobby", "text": "Hello"}}'

Hear of it in JavaScript (npm install centrifuge), in a browser or with Node 22 and newer;
an older Node needs the option websocket: WebSocket from the package ws:

  import {{ Centrifuge }} from 'centrifuge';
  const client = new Centrifuge('{socket}/connection/websocket', {{ token: '{key}' }});
  const news = client.newSubscription('news', {{ since: {{ offset: 0, epoch: '' }} }});
  news.on('publication', ({{ data, offset }}) => console.log(offset, data));
  news.subscribe();
  client.connect();

  curl -s {url}/v1/channels/news/publications -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' -d '{{"data": {{"headline": "It works"}}}}'
"""


def welcome(screen: Screen, settings: Settings, first: First) -> None:
    """Print it."""
    access = first.access
    socket = "ws" + access.url.removeprefix("http")
    screen.say()
    screen.head(f"Ready after {screen.total_s:.1f} s.")
    screen.say(f"  REST          {access.url}/v1")
    screen.say(f"  WebSocket     {socket}/connection/websocket")
    screen.say(f"  Organization  {access.organization}")
    screen.say(f"  API key       {access.api_key}")
    screen.say(f"  (all of it in {settings.installation.data_dir / 'cli.json'})")
    for organization in first.organizations:
        if organization.client_insecure:
            public = encode("org", organization.organization_id)
            screen.warn(
                f"{public} lets everybody in without a credential (client_insecure): for development only."
            )
    if first.api_is_open:
        screen.warn("/api needs no key (http_api.insecure was moved here): keep others away from it.")
    screen.say(SNIPPETS.format(url=access.url, key=access.api_key, socket=socket))
    screen.say("Ctrl-C stops all of it.")
