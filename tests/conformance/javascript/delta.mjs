// The official JavaScript SDK makes documents of patches: publications on stdin, what the SDK emits on stdout.
// No server: a socket of our own answers connect and subscribe, and pushes what it is given.
import { readFileSync } from 'node:fs';
import { Centrifuge } from 'centrifuge';

const publications = JSON.parse(readFileSync(0, 'utf8'));

class Socket {
  constructor() {
    this.readyState = 0;
    setTimeout(() => { this.readyState = 1; this.onopen?.({}); });
  }

  send(frame) {
    for (const line of frame.split('\n')) {
      const command = JSON.parse(line);
      if (command.connect) this.push({ id: command.id, connect: { client: 'c', version: 'v', ping: 25, pong: true } });
      if (command.subscribe) {
        this.push({ id: command.id, subscribe: { positioned: true, recoverable: true, epoch: 'e', delta: true } });
        publications.forEach((pub, index) => this.push({ push: { channel: 'x', pub: { ...pub, offset: index + 1 } } }));
      }
    }
  }

  push(reply) {
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(reply) }));
  }

  close() {
    this.readyState = 3;
  }
}

const emitted = [];
const client = new Centrifuge('ws://nowhere', { websocket: Socket });
const subscription = client.newSubscription('x', { delta: 'fossil' });
subscription.on('publication', ({ data }) => {
  emitted.push(data);
  if (emitted.length === publications.length) {
    process.stdout.write(JSON.stringify(emitted), () => process.exit(0));
  }
});
client.on('disconnected', ({ reason }) => {
  process.stderr.write(reason);
  process.exit(1);
});
subscription.subscribe();
client.connect();
