// A client of sleepd, written from docs/protocol.md alone. Run by test_other_language.py; prints one JSON document.
import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { decode, encode } from "@msgpack/msgpack";
import zeromq from "zeromq";

const MAGIC = Buffer.from("SLP1");
const info = JSON.parse(readFileSync(join(process.argv[2], "daemon.json"), "utf8"));
const newId = () => randomBytes(8).toString("hex");

class Client {
  constructor(endpoint) {
    this.socket = new zeromq.Dealer({ linger: 0, maxMessageSize: 1 << 20 });
    this.socket.connect(endpoint);
    this.pending = new Map();
    this.reading = this.read();
  }

  // Resolves to the final message's {type, body}; `onPart` is given each chunk and progress.
  async request(type, body = {}, { onPart = () => {}, id = newId(), version = info.protocol } = {}) {
    const answer = new Promise((resolve) => this.pending.set(id, { resolve, onPart }));
    const header = { v: version, id, type, ts: Date.now() / 1000 };
    await this.socket.send([MAGIC, encode(header), encode(body)]);
    return answer;
  }

  async read() {
    for await (const [magic, header, ...body] of this.socket) {
      if (!magic.equals(MAGIC)) throw new Error("not a sleepd message");
      const { type, parent } = decode(header);
      const waiting = this.pending.get(parent);
      if (!waiting) continue;
      const message = { type, body: decode(Buffer.concat(body)) };
      if (type === "done" || type === "error") {
        this.pending.delete(parent);
        waiting.resolve(message);
      } else {
        waiting.onPart(message);
      }
    }
  }
}

// Collects events as the page says: welcome, snapshot, then what the snapshot does not cover.
class Events {
  constructor(endpoint) {
    this.socket = new zeromq.Subscriber({ linger: 0 });
    this.socket.connect(endpoint);
    this.socket.subscribe("SLP1");
    this.seen = [];
    this.welcome = new Promise((resolve) => (this.welcomed = resolve));
    this.reading = this.read();
  }

  async read() {
    for await (const [, , ...body] of this.socket) {
      const event = decode(Buffer.concat(body));
      if (event.type === "welcome") this.welcomed(event);
      else this.seen.push(event);
    }
  }
}

const client = new Client(info.requests);
const events = new Events(info.events);
const result = {};

result.ping = (await client.request("ping")).body;
result.welcome = (await events.welcome).seq;
result.snapshot = (await client.request("snapshot")).body;

const progress = [];
result.remember = await client.request(
  "remember",
  { texts: ["Idris Larsson works as a carpenter."] },
  { onPart: (part) => progress.push(part.body.phase) },
);
result.progress = progress;

const chunks = [];
result.ask = await client.request(
  "ask",
  { text: "What does Idris Larsson work as?" },
  { onPart: (part) => chunks.push(part.body.text) },
);
result.chunks = chunks.join("");

const long = newId();
result.cancelled = await client.request(
  "ask",
  { text: "count to 500", max_tokens: 500 },
  { id: long, onPart: () => client.request("cancel", { request: long }) },
);

result.unknown = await client.request("dance");
result.newer = await client.request("ping", {}, { version: info.protocol + 1 });
result.wrong = await client.request("ask", { text: 7 });

const again = newId();
const first = await client.request("remember", { texts: ["Mara Lindqvist lives in Lisbon."] }, { id: again });
const second = await client.request("remember", { texts: ["Mara Lindqvist lives in Lisbon."] }, { id: again });
result.repeated = JSON.stringify(first.body) === JSON.stringify(second.body);

const requester = new zeromq.Request({ linger: 0 });
requester.connect(info.requests);
await requester.send([MAGIC, encode({ v: 1, id: newId(), type: "ask", ts: 0 }), encode({ text: "What does Idris Larsson work as?" })]);
const [, header, ...body] = await requester.receive();
result.req = { type: decode(header).type, body: decode(Buffer.concat(body)) };

result.status = (await client.request("status")).body;
await new Promise((resolve) => setTimeout(resolve, 200));
result.events = events.seen.filter((event) => event.seq > result.snapshot.seq);

console.log(JSON.stringify(result));
process.exit(0);
