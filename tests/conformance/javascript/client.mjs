// The official JavaScript SDK, driven by lines of JSON: commands on stdin, answers and events on stdout.
import { createInterface } from 'node:readline';
import { Centrifuge as JsonCentrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import { EventSource } from 'eventsource';

const PATIENCE_MS = 15_000; // a slow machine is no reason to give a server up
const RECONNECT = { minReconnectDelay: 20, maxReconnectDelay: 200 };
const RESUBSCRIBE = { minResubscribeDelay: 20, maxResubscribeDelay: 200 };

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
let client;
let protobuf = false;

// Payloads are documents to the tests: with protobuf the SDK gives and takes their bytes, which are shown in
// base64 where they are no document.
const shown = (data) => {
  if (data === undefined || data === null) return null;
  if (!protobuf) return data;
  if (!data.length) return null;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    return { base64: Buffer.from(data).toString('base64') };
  }
};
const payload = ({ data, base64 }) => {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return protobuf && data !== undefined ? Buffer.from(JSON.stringify(data)) : data;
};

const person = ({ user, client: id, connInfo, chanInfo }) =>
  ({ user, client: id, conn_info: shown(connInfo), chan_info: shown(chanInfo) });
const publication = ({ data, offset, tags, info }) =>
  ({ data: shown(data), offset: offset ?? 0, tags: tags ?? {}, user: info?.user ?? null });
const subscribed = ({ recoverable, positioned, wasRecovering, recovered, streamPosition, data }) =>
  ({ recoverable, positioned, was_recovering: wasRecovering, recovered, data: shown(data),
    offset: streamPosition?.offset, epoch: streamPosition?.epoch });

// Gives one token after the other, the last for ever; in place of null none ever comes.
const asker = (tokens, event) => tokens.length === 0 ? null : async () => {
  say(event);
  const token = tokens.length > 1 ? tokens.shift() : tokens[0];
  return token === null ? new Promise(() => {}) : token;
};

const commands = {
  connect({ url, transport, emulation, protobuf: binary, tokens, headers, data }) {
    protobuf = binary ?? false;
    const [token = '', ...rest] = tokens;
    const place = transport === 'websocket' ? url : [{ transport, endpoint: url }];
    client = new (protobuf ? ProtobufCentrifuge : JsonCentrifuge)(place, { token,
      getToken: asker(rest, { event: 'token asked' }), data: payload({ data }) ?? null, headers: headers ?? {},
      eventsource: EventSource, emulationEndpoint: emulation ?? '', timeout: PATIENCE_MS, ...RECONNECT });
    client.on('connecting', ({ code, reason }) => say({ event: 'connecting', code, reason }));
    client.on('connected', ({ client: id, data: welcome }) =>
      say({ event: 'connected', client: id, data: shown(welcome) }));
    client.on('disconnected', ({ code, reason }) => say({ event: 'disconnected', code, reason }));
    client.on('subscribed', (context) =>
      say({ event: 'server subscribed', channel: context.channel, ...subscribed(context) }));
    client.on('unsubscribed', ({ channel }) => say({ event: 'server unsubscribed', channel }));
    client.on('publication', (context) =>
      say({ event: 'server publication', channel: context.channel, ...publication(context) }));
    client.on('join', ({ channel, info }) => say({ event: 'server join', channel, ...person(info) }));
    client.on('leave', ({ channel, info }) => say({ event: 'server leave', channel, ...person(info) }));
    client.connect();
  },
  reconnect() {
    client.connect();
  },
  disconnect() {
    client.disconnect();
  },
  subscribe({ channel, tokens, data, join_leave, delta, tags_filter }) {
    const [token = '', ...rest] = tokens ?? [];
    const subscription = client.newSubscription(channel, { token,
      getToken: asker(rest, { event: 'subscription token asked', channel }), data: payload({ data }) ?? null,
      joinLeave: join_leave ?? false, delta, tagsFilter: tags_filter ?? null, ...RESUBSCRIBE });
    subscription.on('subscribing', ({ code, reason }) => say({ event: 'subscribing', channel, code, reason }));
    subscription.on('subscribed', (context) => say({ event: 'subscribed', channel, ...subscribed(context) }));
    subscription.on('unsubscribed', ({ code, reason }) => say({ event: 'unsubscribed', channel, code, reason }));
    subscription.on('error', ({ error }) => say({ event: 'subscription error', channel, code: error.code }));
    subscription.on('publication', (context) => say({ event: 'publication', channel, ...publication(context) }));
    subscription.on('join', ({ info }) => say({ event: 'join', channel, ...person(info) }));
    subscription.on('leave', ({ info }) => say({ event: 'leave', channel, ...person(info) }));
    subscription.subscribe();
  },
  resubscribe({ channel }) {
    client.getSubscription(channel).subscribe();
  },
  unsubscribe({ channel }) {
    client.getSubscription(channel).unsubscribe();
  },
  async publish({ channel, ...content }) {
    await client.publish(channel, payload(content));
  },
  async history({ channel, limit, since, reverse }) {
    const { publications, offset, epoch } = await client.history(channel, { limit, since, reverse });
    return { publications: publications.map(publication), offset, epoch };
  },
  async presence({ channel }) {
    const { clients } = await client.presence(channel);
    return { clients: Object.fromEntries(Object.entries(clients).map(([id, info]) => [id, person(info)])) };
  },
  async presence_stats({ channel }) {
    const { numClients, numUsers } = await client.presenceStats(channel);
    return { num_clients: numClients, num_users: numUsers };
  },
  async rpc({ method, ...content }) {
    return { data: shown((await client.rpc(method, payload(content))).data) };
  },
  async send(content) {
    await client.send(payload(content));
  },
};

say({ event: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...fields } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](fields))
    .then((result) => say({ id, result: result ?? {} }))
    .catch((error) => say({ id, error: { code: error.code ?? 0, message: error.message ?? String(error) } }));
}
process.exit(0);
