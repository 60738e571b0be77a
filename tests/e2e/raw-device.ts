/** A device made of datagrams: it sees tokens and block numbers, and keeps what it has when its socket is closed and opened again. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { blockOption, findBlock } from "@airlift/protocol/coap/block-option";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapMessage, decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";
import {
  type CoapOption,
  OPTION,
  pathOptions,
  queryOptions,
  uintOption,
  uriPath,
} from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8, toHex } from "@airlift/protocol/lib/bytes";

type Answer = Pick<CoapMessage, "code"> & Partial<Pick<CoapMessage, "options" | "payload">>;

export class RawDevice {
  readonly #serverPort: number;
  #socket: Socket;
  #messageId = 1;
  readonly #waiting = new Map<number, (answer: CoapMessage) => void>();
  /** What a read of a path answers; absent = 4.04. */
  readonly resources = new Map<string, string>([
    ["/3/0/3", "1.0.0"],
    ["/5/0/3", "0"],
    ["/5/0/5", "0"],
    ["/5/0/9", "1"],
  ]);
  /** A larger block is refused with 4.13 that names this size. */
  largestBlockBytes = 1024;
  /** Octets of the package so far. */
  received: Uint8Array[] = [];
  /** Tokens of the requests that carried blocks of the package. */
  readonly pushTokens = new Set<string>();
  /** How often a package was begun. */
  beginCount = 0;
  onBlock: (blockNumber: number) => void = () => {};
  onExecute: (path: string) => void = () => {};

  private constructor(serverPort: number, socket: Socket) {
    this.#serverPort = serverPort;
    this.#socket = socket;
    this.#listen();
  }

  static async open(serverPort: number): Promise<RawDevice> {
    return new RawDevice(serverPort, await openSocket(0));
  }

  get receivedBytes(): number {
    return this.received.reduce((sum, { length }) => sum + length, 0);
  }

  async register(endpoint: string, links = "</3/0>,</5/0>"): Promise<void> {
    const options = [
      ...pathOptions("/rd"),
      ...queryOptions(`ep=${endpoint}&lt=60&lwm2m=1.1&b=U`),
      uintOption(OPTION.contentFormat, 40),
    ];
    const { code } = await this.ask({ code: METHOD.post, options, payload: encodeUtf8(links) });
    if (code !== CODE.created) throw new Error(`not registered: ${code}`);
  }

  /** One request as one datagram. */
  ask({ code, options = [], payload = EMPTY }: Answer): Promise<CoapMessage> {
    const messageId = this.#messageId++;
    return new Promise((resolve) => {
      this.#waiting.set(messageId, resolve);
      this.#send({ type: MESSAGE_TYPE.confirmable, code, messageId, token: Uint8Array.of(7), options, payload });
    });
  }

  /** The link is gone: what is sent to it meets a closed port. */
  async unplug(): Promise<number> {
    const { port } = this.#socket.address();
    await this.close();
    return port;
  }

  async plugIn(port: number): Promise<void> {
    this.#socket = await openSocket(port);
    this.#listen();
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #listen(): void {
    this.#socket.on("message", (datagram) => {
      const message = decodeMessage(new Uint8Array(datagram));
      if (message.type === MESSAGE_TYPE.acknowledgement) this.#waiting.get(message.messageId)?.(message);
      if (message.type !== MESSAGE_TYPE.confirmable) return;
      const { options = [], payload = EMPTY, code } = this.#answer(message);
      const { messageId, token } = message;
      this.#send({ type: MESSAGE_TYPE.acknowledgement, messageId, token, code, options, payload });
    });
  }

  #send(message: CoapMessage): void {
    this.#socket.send(encodeMessage(message), this.#serverPort, "127.0.0.1");
  }

  #answer(message: CoapMessage): Answer {
    const path = `/${uriPath(message.options).join("/")}`;
    if (message.code === METHOD.put && path === "/5/0/0") return this.#push(message);
    if (message.code === METHOD.post) {
      setImmediate(() => this.onExecute(path));
      return { code: CODE.changed };
    }
    if (message.code !== METHOD.get) return { code: CODE.changed };
    const value = this.resources.get(path);
    if (value === undefined) return { code: path.split("/").length < 4 ? CODE.methodNotAllowed : CODE.notFound };
    return { code: CODE.content, options: [uintOption(OPTION.contentFormat, 0)], payload: encodeUtf8(value) };
  }

  #push({ options, payload, token }: CoapMessage): Answer {
    const block = findBlock(options, OPTION.block1);
    if (block === undefined) return { code: CODE.badRequest };
    if (block.sizeBytes > this.largestBlockBytes) {
      const smaller = { number: 0, more: block.more, sizeBytes: this.largestBlockBytes };
      return { code: CODE.requestEntityTooLarge, options: [echoOf(smaller)] };
    }
    this.pushTokens.add(toHex(token));
    if (block.number === 0) {
      this.received = [];
      this.beginCount += 1;
    }
    if (block.number * block.sizeBytes !== this.receivedBytes) return { code: CODE.requestEntityIncomplete };
    this.received.push(payload.slice());
    if (!block.more) this.resources.set("/5/0/3", "2");
    setImmediate(() => this.onBlock(block.number));
    return { code: block.more ? CODE.continue : CODE.changed, options: [echoOf(block)] };
  }
}

const echoOf = (block: Parameters<typeof blockOption>[1]): CoapOption => blockOption(OPTION.block1, block);

async function openSocket(port: number): Promise<Socket> {
  const socket = createSocket("udp4");
  // What is sent while the server is away is lost, as on any link.
  socket.on("error", () => {});
  socket.bind(port, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}
