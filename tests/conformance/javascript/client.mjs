// The official JavaScript SDK, driven by lines of JSON: commands on stdin, answers and events on stdout.
import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
let client;

const commands = {
  connect({ url, tokens }) {
    const rest = [...tokens];
    const getToken = async () => {
      say({ event: 'token asked' });
      return rest.length > 1 ? rest.shift() : rest[0];
    };
    client = new Centrifuge(url, { token: rest.shift(), getToken: rest.length ? getToken : null,
      minReconnectDelay: 20, maxReconnectDelay: 200 });
    client.on('connected', ({ client: id }) => say({ event: 'connected', client: id }));
    client.on('connecting', ({ code, reason }) => say({ event: 'connecting', code, reason }));
    client.on('disconnected', ({ code, reason }) => say({ event: 'disconnected', code, reason }));
    client.connect();
  },
  subscribe({ channel }) {
    const subscription = client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200 });
    subscription.on('subscribed', ({ recoverable, positioned, wasRecovering, recovered, streamPosition }) =>
      say({ event: 'subscribed', channel, recoverable, positioned, was_recovering: wasRecovering, recovered,
        offset: streamPosition?.offset, epoch: streamPosition?.epoch }));
    subscription.on('unsubscribed', ({ code, reason }) => say({ event: 'unsubscribed', channel, code, reason }));
    subscription.on('error', ({ error }) => say({ event: 'subscription error', channel, code: error.code }));
    subscription.on('publication', ({ data, offset, tags, info }) =>
      say({ event: 'publication', channel, data, offset, tags: tags ?? {}, user: info?.user ?? null }));
    subscription.subscribe();
  },
  unsubscribe({ channel }) {
    client.getSubscription(channel).unsubscribe();
  },
  async publish({ channel, data }) {
    await client.publish(channel, data);
  },
  async history({ channel, limit, since, reverse }) {
    const { publications, offset, epoch } = await client.history(channel, { limit, since, reverse });
    return { publications: publications.map(({ data, offset: at }) => ({ data, offset: at })), offset, epoch };
  },
  async presence({ channel }) {
    const { clients } = await client.presence(channel);
    return { clients };
  },
  async rpc({ method }) {
    await client.rpc(method, {});
  },
  disconnect() {
    client.disconnect();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...fields } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](fields))
    .then((result) => say({ id, result: result ?? {} }))
    .catch((error) => say({ id, error: { code: error.code ?? 0, message: error.message ?? String(error) } }));
}
process.exit(0);
