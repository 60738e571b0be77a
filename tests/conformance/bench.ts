/** A real agent and a scripted server on the sockets of this machine, and handlers that do what a test tells them. */
import { randomBytes } from "node:crypto";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import { HandlerError, type HandlerFailure, type UpdateHandlers } from "@airlift/device/ports";
import { DEFAULT_PULL_POLICY } from "@airlift/device/transfer/pull";
import { blockOption } from "@airlift/protocol/coap/block-option";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { RESULT_ON_WIRE, STATE_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import { createMemoryDevice, type MemoryDevice } from "../e2e/memory-handlers.ts";
import { codeText, openScriptedServer, type ScriptedServer } from "../e2e/scripted-server.ts";

export const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" };

/** Impatient, so that what fails for good fails soon. */
const QUICK = {
  transmission: { ackTimeoutMs: 40, ackRandomFactor: 1, maxRetransmit: 2 },
  pullPolicy: { ...DEFAULT_PULL_POLICY, retryCount: 1, firstDelayMs: 1 },
  upgradeDelayMs: 5,
  bind: { host: "127.0.0.1" },
} as const;

/** An image that the device accepts. */
export function imageOf(sizeBytes: number): Uint8Array {
  return Uint8Array.from(randomBytes(sizeBytes)).fill(0x11, 0, 1);
}

export const failure = (reason: HandlerFailure) => (): never => {
  throw new HandlerError(reason, `scripted: ${reason}`);
};

/** A promise that the test settles. */
export function createDeferred(): { readonly promise: Promise<void>; resolve(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, resolve };
}

/** What stands in for a handler in one test. */
export type Script = { [Name in keyof UpdateHandlers]?: UpdateHandlers[Name] };

function onWire({ state, result }: Pick<UpdateAgent, "state" | "result">): string {
  return `${STATE_ON_WIRE[state]},${RESULT_ON_WIRE[result]}`;
}

export class Bench {
  readonly server: ScriptedServer;
  readonly device: MemoryDevice = createMemoryDevice();
  readonly events: AgentEvent[] = [];
  /** Names of handlers in the order of their calls. */
  readonly calls: string[] = [];
  readonly script: Script = {};
  readonly #waiting = new Set<{ isIt(event: AgentEvent): boolean; resolve(event: AgentEvent): void }>();
  #agent: UpdateAgent | undefined;

  private constructor(server: ScriptedServer) {
    this.server = server;
  }

  static async open(): Promise<Bench> {
    return new Bench(await openScriptedServer());
  }

  get agent(): UpdateAgent {
    if (this.#agent === undefined) throw new Error("the agent has not started");
    return this.#agent;
  }

  /** Starts an agent, which registers. After an earlier one it is a restart of the device. */
  async start(options: Partial<UpdateAgentOptions> = {}): Promise<void> {
    await this.launch(options);
    await this.server.registered();
  }

  /** As `start`, without waiting for the registration. */
  async launch(options: Partial<UpdateAgentOptions> = {}): Promise<void> {
    await this.#agent?.close({ saysGoodbye: false });
    this.#agent = createUpdateAgent({
      ...QUICK,
      endpoint: "node-1",
      server: this.server.uri,
      handlers: this.#handlers(),
      ...(options.initialState ? {} : { store: this.device.store }),
      identity: IDENTITY,
      onEvent: (event) => this.#tell(event),
      ...options,
    });
    await this.#agent.start();
  }

  async close(): Promise<void> {
    await this.#agent?.close({ saysGoodbye: false });
    await this.server.close();
  }

  /** State and Update Result as the server reads them: `2,0`. */
  async pair(): Promise<string> {
    return `${await this.server.read("/5/0/3")},${await this.server.read("/5/0/5")}`;
  }

  /** Until State and Update Result are `pair`, as the agent tells them itself. */
  async until(pair: string): Promise<void> {
    if (onWire(this.agent) !== pair) await this.event((event) => event.kind === "state" && onWire(event) === pair);
  }

  /** Writes a Package URI; until the update has come to `pair` after that. */
  async pull(uri: string, pair: string): Promise<void> {
    const come = this.event((event) => event.kind === "state" && onWire(event) === pair);
    const code = await this.server.write("/5/0/1", uri);
    if (code !== "2.04") throw new Error(`the URI was answered ${code}`);
    await come;
  }

  /** The next event of this sort. */
  event(isIt: (event: AgentEvent) => boolean): Promise<AgentEvent> {
    return new Promise((resolve) => this.#waiting.add({ isIt, resolve }));
  }

  /** The codes and facts of failures that the agent has told. */
  failures(): string[] {
    return this.events.flatMap((event) => (event.kind === "failure" ? [event.what] : []));
  }

  /** Watches a resource; its values in the order in which they arrive. */
  async watch(path: string): Promise<string[]> {
    const told: string[] = [];
    await this.server.coap.observe(this.server.device(), createRequest("get", path), ({ payload }) =>
      told.push(decodeUtf8(payload) ?? ""),
    );
    return told;
  }

  /** Puts `bytes` on the server; the URI to pull them from. */
  publish(name: string, bytes: Uint8Array, etag = 1): string {
    this.server.files.set(name, { bytes, etag });
    return `${this.server.uri}/fw/${name}`;
  }

  /** Brings the device where a test begins. */
  async downloaded(): Promise<void> {
    await this.server.push(imageOf(100));
  }

  async updating(): Promise<void> {
    await this.downloaded();
    await this.server.execute("/5/0/2");
    await this.until("3,0");
  }

  /** A pull that stands still after its first block, until `release`. */
  async downloading(): Promise<{ release(): void }> {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const uri = this.publish("held", imageOf(4_000));
    const begun = new Promise<void>((resolve) => {
      this.script.write = async (bytes) => {
        resolve();
        await held;
        return this.device.handlers.write(bytes);
      };
    });
    await this.server.write("/5/0/1", uri);
    await begun;
    return { release };
  }

  /** One block of a push, as a request of its own. */
  async block(bytes: Uint8Array, number: number, more: boolean, sizeBytes = 64): Promise<string> {
    const options = [
      uintOption(OPTION.contentFormat, CONTENT_FORMATS.opaque),
      blockOption(OPTION.block1, { number, more, sizeBytes }),
    ];
    const payload = bytes.subarray(sizeBytes * number, sizeBytes * (number + 1));
    const request = createRequest("put", "/5/0/0", { options, payload });
    return codeText((await this.server.coap.request(this.server.device(), request)).code);
  }

  #handlers(): UpdateHandlers {
    const own = this.device.handlers;
    const note = (name: string): void => void this.calls.push(name);
    return {
      openStream: (origin) => {
        note("openStream");
        return (this.script.openStream ?? own.openStream)(origin);
      },
      write: (bytes) => {
        if (this.calls.at(-1) !== "write") note("write");
        return (this.script.write ?? own.write)(bytes);
      },
      finish: () => {
        note("finish");
        return (this.script.finish ?? own.finish)();
      },
      reset: () => {
        note("reset");
        return (this.script.reset ?? own.reset)();
      },
      performUpgrade: (order) => {
        note("performUpgrade");
        return (this.script.performUpgrade ?? own.performUpgrade)(order);
      },
      packageName: () => (this.script.packageName ?? own.packageName)?.(),
      packageVersion: () => (this.script.packageVersion ?? own.packageVersion)?.(),
      transmissionFor: (uri) => this.script.transmissionFor?.(uri),
      ...(this.script.securityFor && { securityFor: (uri) => this.script.securityFor?.(uri) }),
      ...(this.script.securityFor && { securityFor: (uri: string) => this.script.securityFor?.(uri) }),
      tcpTimeoutFor: (uri) => this.script.tcpTimeoutFor?.(uri),
      ...(this.script.confirm && { confirm: this.script.confirm }),
    };
  }

  #tell(event: AgentEvent): void {
    this.events.push(event);
    for (const waiter of this.#waiting) {
      if (!waiter.isIt(event)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(event);
    }
  }
}
