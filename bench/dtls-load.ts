/**
 * Child process: the one load for all DTLS servers. `handshakes`: as many clients as `window`, each opens a session, closes
 * it and begins anew. `requests`: one session, `window` confirmable GETs under way. Counts for `seconds`.
 */
import { createSocket, type Socket } from "node:dgram";
import { DtlsEndpoint } from "@airlift/protocol/dtls/endpoint";
import type { DtlsInput } from "@airlift/protocol/dtls/endpoint-types";
import { DEFAULT_TIMING } from "@airlift/protocol/dtls/handshake-types";
import type { DtlsAddress, DtlsSession } from "@airlift/protocol/dtls/session";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";

const [mode = "", suiteName = ""] = process.argv.slice(2);
const [port = 0, seconds = 3, window = 32] = process.argv.slice(4).map(Number);
const suite = suiteByName(suiteName);
const SERVER: DtlsAddress = { key: "server", address: "server" };
const credentials = {
  psk: { identity: "bench", key: encodeUtf8("sixteen octets!!") },
  anchors: [],
  serverKeys: [],
};
let count = 0;
let failedCount = 0;
let isOver = false;

interface Listener {
  opened(client: Client, session: DtlsSession<DtlsAddress>): void;
  received(client: Client, bytes: Uint8Array): void;
}

/** One client on a socket of its own; `on` is told of sessions and data. */
class Client {
  readonly #socket: Socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  readonly #core = new DtlsEndpoint<DtlsAddress>(dtlsCrypto, {
    suites: suite ? [suite] : [],
    connectionIds: "send",
    resumable: 0,
    timing: { ...DEFAULT_TIMING, retransmitMs: 200 },
  });
  readonly #timer: NodeJS.Timeout;
  readonly #on: Listener;

  constructor(on: Listener) {
    this.#on = on;
    this.#socket.on("message", (bytes) =>
      this.feed({
        kind: "datagram",
        address: SERVER,
        datagram: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length),
      }),
    );
    this.#timer = setInterval(() => this.feed({ kind: "wake" }), 100);
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.bind(0, "127.0.0.1", resolve);
    });
    this.#socket.setRecvBufferSize(4 * 2 ** 20);
  }

  begin(): void {
    this.feed({ kind: "connect", address: SERVER, credentials });
  }

  feed(input: DtlsInput<DtlsAddress>): void {
    for (const output of this.#core.step(input, performance.now())) {
      if (output.kind === "send") this.#socket.send(output.datagram, 0, output.datagram.length, port, "127.0.0.1");
      else if (output.kind === "opened") this.#on.opened(this, output.session);
      else if (output.kind === "received") this.#on.received(this, output.bytes);
      else if (output.kind === "failed") {
        failedCount += 1;
        if (!isOver) this.begin();
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }
}

function handshakes(): Client[] {
  return Array.from(
    { length: window },
    () =>
      new Client({
        opened: (client, session) => {
          count += 1;
          client.feed({ kind: "close", session });
          if (!isOver) client.begin();
        },
        received: () => {},
      }),
  );
}

function requests(): Client[] {
  let session: DtlsSession<DtlsAddress> | undefined;
  let nextId = 0;
  const ask = (client: Client): void => {
    nextId = (nextId + 1) & 0xffff;
    // CON GET /t with the Message ID as token.
    const bytes = Uint8Array.of(0x42, 0x01, nextId >> 8, nextId, nextId >> 8, nextId, 0xb1, 0x74);
    if (session) client.feed({ kind: "send", session, bytes });
  };
  return [
    new Client({
      opened: (client, opened) => {
        session = opened;
        for (let i = 0; i < window; i += 1) ask(client);
      },
      received: (client) => {
        count += 1;
        if (!isOver) ask(client);
      },
    }),
  ];
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const clients = mode === "handshakes" ? handshakes() : requests();
for (const client of clients) {
  await client.open();
  client.begin();
}
// Until then a server that compiles while it runs has compiled what is used most.
await wait(3_000);
process.send?.("warm");
count = 0;
failedCount = 0;
const startMs = performance.now();
await wait(seconds * 1000);
const tookSeconds = (performance.now() - startMs) / 1000;
process.send?.({ perSecond: count / tookSeconds, count, failedCount });
isOver = true;
for (const client of clients) client.close();
process.disconnect?.();
