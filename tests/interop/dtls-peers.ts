/** Independent DTLS programs as child processes, and files with the keys and certificates they want. */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CoapNode } from "@airlift/runtime/coap-node";
import { type DtlsEvent, type DtlsPeer, type DtlsServer, type DtlsTuning, openDtlsServer } from "@airlift/runtime/dtls";
import { openDtlsClient } from "@airlift/runtime/dtls-client";
import type { DtlsClientCredential, DtlsServerCredentials } from "@airlift/runtime/dtls-credentials";

export const HOST = "127.0.0.1";
export const IDENTITY = "device-7";
/** As text, because libcoap takes its key so. */
export const KEY_TEXT = "sixteen octets!!";
export const KEY = encodeUtf8(KEY_TEXT);
export const KEY_HEX = Buffer.from(KEY).toString("hex");

interface Pem {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly publicPem: string;
}

/** See its field `source`. */
export const PEM: Readonly<Record<string, Pem>> = JSON.parse(
  readFileSync(new URL("../vectors/dtls-certificates.json", import.meta.url), "utf8"),
);

export function pem(name: string): Pem {
  const found = PEM[name];
  if (found === undefined) throw new Error(`no certificate ${name}`);
  return found;
}

/** The reason to skip when a program is missing; in continuous integration nothing is skipped. */
export function skipWithout(...paths: readonly string[]): string | false {
  const missing = paths.find((path) => !existsSync(path));
  return missing !== undefined && process.env["CI"] !== "true" ? `${missing} is not installed` : false;
}

/** Files for programs; gone when the process ends. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "airlift-dtls-"));

  constructor() {
    process.once("exit", () => rmSync(this.path, { recursive: true, force: true }));
  }

  place(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }
}

/** A program with what it printed so far. */
export class Program {
  output = "";
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(command: string, parts: readonly string[], options: { readonly cwd?: string } = {}) {
    this.#child = spawn(command, parts, { stdio: ["pipe", "pipe", "pipe"], ...options });
    this.#child.stdin?.on("error", () => {});
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", (code) => resolve(code));
      this.#child.once("error", () => resolve(null));
    });
  }

  say(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves when the program has printed it. */
  async prints(pattern: RegExp, withinMs = 15_000): Promise<void> {
    await until(
      () => pattern.test(this.output),
      withinMs,
      () => `no ${pattern} in: ${this.output}`,
    );
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}

/** Looks every 20 ms until `isSo`. */
export async function until(isSo: () => boolean, withinMs: number, complaint: () => string): Promise<void> {
  for (const endMs = performance.now() + withinMs; !isSo(); ) {
    if (performance.now() > endMs) throw new Error(complaint());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => {
    socket.bind(0, HOST, resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return port;
}

/** Our server: a CoAP node over DTLS that greets whoever it knows. */
export interface OurServer {
  readonly dtls: DtlsServer;
  readonly node: CoapNode<DtlsPeer>;
  readonly events: DtlsEvent[];
}

export async function ourServer(credentials: DtlsServerCredentials, limits: DtlsTuning = {}): Promise<OurServer> {
  const events: DtlsEvent[] = [];
  const dtls = await openDtlsServer({
    udp: { host: HOST },
    credentials,
    limits,
    onEvent: (event) => void events.push(event),
  });
  const node = new CoapNode<DtlsPeer>(dtls);
  node.serve((_, { identity }) =>
    createResponse(CODE.content, encodeUtf8(`hello ${identity.kind} ${identity.name}\n`)),
  );
  return { dtls, node, events };
}

/** The lines an operator would read. */
export function lines(events: readonly DtlsEvent[]): string[] {
  return events.flatMap((event) => ("why" in event ? [event.why] : []));
}

/** One GET with our client; the session it went over comes with it. Rejects with the lines an operator would read. */
export async function ourGet(
  port: number,
  credential: DtlsClientCredential,
  limits: DtlsTuning = {},
): Promise<{ response: CoapResponse; peer: DtlsPeer | undefined }> {
  const events: DtlsEvent[] = [];
  const onEvent = (event: DtlsEvent) => void events.push(event);
  const client = await openDtlsClient({ server: { address: HOST, port }, credential, limits, host: HOST, onEvent });
  const node = new CoapNode(client);
  try {
    const response = await node.request(client.server, createRequest("get", "/"));
    return { response, peer: client.server.session };
  } catch (cause) {
    throw new Error(lines(events).join("; "), { cause });
  } finally {
    await node.close();
  }
}
