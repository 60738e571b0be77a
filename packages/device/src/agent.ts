/**
 * The update agent: a LwM2M client that registers, answers its server, and carries firmware updates to the handlers.
 *
 * Composes the cores (update, transfer, session, objects) with one UDP socket.
 */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import type { CoapRequest } from "@airlift/protocol/coap/exchange";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { isWithin, type Path, pathOfSegments } from "@airlift/protocol/lwm2m/path";
import { type Lwm2mRequest, METHODS, RESPONSES } from "@airlift/protocol/lwm2m/request";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { ObservationOffer } from "@airlift/runtime/coap";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { fromCoapRequest, toCoapAnswer } from "@airlift/runtime/lwm2m-coap";
import type { UdpPeer } from "@airlift/runtime/udp";
import { type AgentEvent, type AgentSettings, settle, type UpdateAgentOptions } from "./agent-options.ts";
import { createDeviceObject } from "./objects/device-object.ts";
import { createFirmwareObject } from "./objects/firmware-object.ts";
import { ObjectRequests } from "./objects/requests.ts";
import { createTree, type ObjectTree } from "./objects/resource.ts";
import { createServerObject } from "./objects/server-object.ts";
import { ObserverList } from "./observer-list.ts";
import { CODE_OF_ANSWER, PackagePushes } from "./package-pushes.ts";
import { Puller } from "./puller.ts";
import { Registrar } from "./registrar.ts";
import { PROTOCOL_ON_WIRE, type PullScheme, parsePackageUri } from "./transfer/package-uri.ts";
import { DEFAULT_UPGRADE_DELAY_MS } from "./update/firmware-update.ts";
import { FACTORY, fromStore } from "./update/persisted.ts";
import { type UpdateRequest, UpdateRunner } from "./update-runner.ts";

/** What this agent can fetch by itself. */
const UPDATE_RESULT: Path = [FIRMWARE_UPDATE_ID, 0, 5];

export interface UpdateAgent {
  /**
   * Takes up what the last run left, opens the socket and registers; settles before the server has answered. Once.
   *
   * @throws {EnvironmentError} SOCKET_BIND, or what the store's `load` fails with.
   */
  start(): Promise<void>;
  /** Ends everything; says goodbye to the server unless told not to, as before a restart. May be called twice. */
  close(how?: { readonly saysGoodbye?: boolean }): Promise<void>;
  /**
   * The outcome of an update that `performUpgrade` left pending, or an error that ends one that is under way.
   *
   * @throws {UsageError} RESULT_NOT_SETTABLE
   */
  setResult(result: UpdateResult): void;
  /** Begins an update that was deferred. @throws {UsageError} RESULT_NOT_SETTABLE */
  acceptUpdate(): void;
  readonly state: FirmwareState;
  readonly result: UpdateResult;
  readonly isRegistered: boolean;
}

/** @throws {UsageError} AGENT_OPTIONS, with `facts.mistakes`. */
export function createUpdateAgent(options: UpdateAgentOptions): UpdateAgent {
  return new Agent(settle(options));
}

/** Everything that exists only between start and close. */
interface Running {
  readonly coap: CoapUdp;
  readonly runner: UpdateRunner;
  readonly puller: Puller;
  readonly registrar: Registrar;
  readonly requests: ObjectRequests;
  readonly observers: ObserverList;
  readonly pushes: PackagePushes;
}

class Agent implements UpdateAgent {
  readonly #settings: AgentSettings;
  #running: Running | undefined;
  #isStarted = false;
  /** The running image has yet to prove itself. */
  #isOnTrial = false;
  /** The server is not answered before the trial is decided, so that it never reads a success that may be taken back. */
  #decided: Promise<void> = Promise.resolve();
  #decide: () => void = () => undefined;
  #pullSizeBytes: number | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(settings: AgentSettings) {
    this.#settings = settings;
  }

  get state(): FirmwareState {
    return this.#running?.runner.facts.state ?? "idle";
  }

  get result(): UpdateResult {
    return this.#running?.runner.facts.result ?? "initial";
  }

  get isRegistered(): boolean {
    return this.#running?.registrar.isRegistered ?? false;
  }

  async start(): Promise<void> {
    if (this.#isStarted) throw new UsageError("AGENT_STARTED", "an agent starts once");
    this.#isStarted = true;
    const { store, bind, loss, transmission, blockBytes } = this.#settings;
    const persisted = store ? fromStore(await store.load()) : FACTORY;
    const coap = await openCoapUdp({ ...bind, loss, endpoint: { transmission } });
    const running = this.#compose(coap, persisted);
    this.#running = running;
    if (persisted.state === "updating" && this.#confirm !== undefined) this.#beginTrial();
    coap.serve((request, peer, offer) => this.#serve(running, request, peer, offer), {
      blockBytes,
      receive: (request, peer) => this.#receive(running, request, peer),
      onError: (error) => this.#tell({ kind: "failure", what: "request", error }),
    });
    running.runner.feed({ kind: "start" });
    running.registrar.open();
  }

  async close({ saysGoodbye = true }: { readonly saysGoodbye?: boolean } = {}): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    for (const timer of this.#timers) clearTimeout(timer);
    if (running === undefined) return;
    running.puller.stop();
    running.runner.stop();
    running.observers.stop();
    await running.registrar.close(saysGoodbye);
    await running.coap.close();
  }

  setResult(result: UpdateResult): void {
    this.#running?.runner.feed({ kind: "setResult", result });
  }

  acceptUpdate(): void {
    this.#running?.runner.feed({ kind: "accept" });
  }

  get #confirm(): (() => Promise<void> | void) | undefined {
    const { slots, handlers } = this.#settings;
    if (slots) return () => slots.confirm();
    return handlers.confirm ? () => handlers.confirm?.() : undefined;
  }

  // ---- composition ----

  #compose(coap: CoapUdp, persisted: typeof FACTORY): Running {
    const settings = this.#settings;
    const { pullPolicy, transmission, blockBytes, lwm2mVersion } = settings;
    const runner: UpdateRunner = new UpdateRunner({
      persisted,
      handlers: settings.handlers,
      store: settings.store,
      utcMs: Date.now,
      upgradeDelayMs: settings.upgradeDelayMs,
      onStartPull: (start) => puller.start(start),
      onPullNext: (pull) => puller.next(pull, runner.storedBytes),
      onStopPull: () => puller.stop(),
      onChanged: (resources) => this.#changed(observers, resources),
      onProgress: (storedBytes) => this.#tell({ kind: "progress", storedBytes, sizeBytes: this.#pullSizeBytes }),
      onRestarting: () => this.#restart(),
      onFailure: (what, error) => this.#tell({ kind: "failure", what, error }),
    });
    const puller = new Puller({
      client: coap,
      policy: pullPolicy,
      transmission,
      blockBytes,
      listener: {
        onOrigin: (pull, etag, sizeBytes) => {
          this.#pullSizeBytes = sizeBytes;
          runner.feed({ kind: "pullOrigin", pull, etag });
        },
        onChunk: (pull, offset, bytes) => runner.feed({ kind: "pullChunk", pull, offset, bytes }),
        onEnded: (pull) => runner.feed({ kind: "pullEnded", pull }),
        onChanged: (pull) => runner.feed({ kind: "pullChanged", pull }),
        onFailed: (pull, result) => runner.feed({ kind: "pullFailed", pull, result }),
        onPause: (_pull, reason, retryAfterMs) => this.#tell({ kind: "pullPaused", reason, retryAfterMs }),
      },
    });
    const pushes = new PackagePushes(runner, settings.methods !== "pull");
    const { tree, defaults } = this.#objects(runner, pushes);
    const requests = new ObjectRequests(tree, lwm2mVersion);
    const observers = new ObserverList({ requests, defaults });
    const registrar = this.#createRegistrar(coap, tree);
    return { coap, runner, puller, registrar, requests, observers, pushes };
  }

  #objects(runner: UpdateRunner, pushes: PackagePushes): { tree: ObjectTree; defaults: () => Record<string, number> } {
    const { identity, queueMode, reboot, handlers, methods, pullSchemes, lifetimeS, lwm2mVersion } = this.#settings;
    const binding = queueMode && lwm2mVersion === "1.0" ? "UQ" : "U";
    const server = createServerObject({
      lifetimeS: () => this.#running?.registrar.lifetimeS ?? lifetimeS,
      setLifetime: (seconds) => this.#running?.registrar.refresh(seconds),
      refresh: () => this.#running?.registrar.refresh(),
      binding,
    });
    const restart = reboot && ((): void => this.#restart());
    const device = createDeviceObject({ identity, utcMs: Date.now, binding, reboot: restart });
    const ask = async (request: UpdateRequest): Promise<number> => CODE_OF_ANSWER[await runner.request(request)];
    const pulls = methods !== "push";
    const firmware = createFirmwareObject(
      {
        facts: () => runner.facts,
        packageName: () => handlers.packageName?.(),
        packageVersion: () => handlers.packageVersion?.(),
        writePackage: (bytes) => pushes.whole(bytes),
        writeUri: (uri) => ask({ kind: "writeUri", uri, supported: pulls && isPullable(uri, pullSchemes) }),
        update: () => ask({ kind: "executeUpdate" }),
        cancel: () => ask({ kind: "executeCancel" }),
        writeSeverity: (severity) => ask({ kind: "writeSeverity", severity }),
        methods,
        protocols: pulls ? pullSchemes.map((scheme) => PROTOCOL_ON_WIRE[scheme]) : [],
      },
      lwm2mVersion,
    );
    return { tree: createTree([server.object, device, firmware]), defaults: () => ({ ...server.defaults() }) };
  }

  #createRegistrar(coap: CoapUdp, tree: ObjectTree): Registrar {
    const { address, endpoint, lifetimeS, lwm2mVersion, queueMode = false, transmission } = this.#settings;
    const { registrationRetry: retry } = this.#settings;
    const objects = [...tree.values()].map(({ id, version }) => ({ objectId: id, version, instances: [0] }));
    const contentFormats = lwm2mVersion === "1.0" ? [] : [CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.tlv];
    return new Registrar({
      client: coap,
      host: address.host,
      port: address.port,
      registration: {
        endpoint,
        lwm2mVersion,
        lifetimeS,
        binding: "U",
        queueMode,
        smsNumber: undefined,
        objects: { rootSegments: [], contentFormats, objects },
      },
      transmission,
      retry,
      onRegistered: (location) => {
        this.#running?.observers.clear();
        if (this.#isOnTrial) void this.#endTrial();
        this.#tell({ kind: "registered", location });
      },
      onRetry: (retryAfterMs, reason) => this.#tell({ kind: "registrationFailed", reason, retryAfterMs }),
    });
  }

  // ---- the server's requests ----

  #receive({ registrar, pushes }: Running, request: CoapRequest, peer: UdpPeer) {
    if (!registrar.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    const encoding = pushes.encodingOf(request);
    return encoding === undefined ? undefined : pushes.sink(encoding);
  }

  async #serve(
    running: Running,
    request: CoapRequest,
    peer: UdpPeer,
    offer: ObservationOffer | undefined,
  ): Promise<CoapAnswer> {
    const { registrar, pushes, requests, observers } = running;
    if (!registrar.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    await this.#decided;
    const encoding = pushes.encodingOf(request);
    if (encoding !== undefined) {
      return toCoapAnswer({ code: await pushes.whole(request.payload, encoding), payload: EMPTY });
    }
    const asked = fromCoapRequest(request);
    const answer = await requests.answer(asked);
    if (answer.code === RESPONSES.content) this.#hasRead(running, asked, offer);
    else if (asked.code !== METHODS.get) {
      observers.attributesChanged();
      observers.changed([[1], [3]]);
    }
    return toCoapAnswer(answer);
  }

  #hasRead({ runner, observers }: Running, asked: Lwm2mRequest, offer: ObservationOffer | undefined): void {
    if (asked.accept === CONTENT_FORMATS.linkFormat) return;
    const path = pathOfSegments(asked.uriPath);
    if (isWithin(path, UPDATE_RESULT)) runner.feed({ kind: "resultTold" });
    if (offer !== undefined) observers.accept(path, asked.accept, offer);
  }

  // ---- what happens inside ----

  #changed(observers: ObserverList, resources: readonly number[]): void {
    observers.changed(resources.map((resource) => [FIRMWARE_UPDATE_ID, 0, resource]));
    this.#tell({ kind: "state", state: this.state, result: this.result });
  }

  #beginTrial(): void {
    this.#isOnTrial = true;
    this.#decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    const { trialTimeoutMs } = this.#settings;
    // An image that cannot reach its server is worse than the old one, to which the restart falls back.
    this.#later(trialTimeoutMs, () => this.#isOnTrial && this.#restart());
  }

  async #endTrial(): Promise<void> {
    this.#isOnTrial = false;
    try {
      await this.#confirm?.();
      this.setResult("success");
    } catch (error) {
      this.#tell({ kind: "failure", what: "confirm", error });
      this.setResult("failed");
    }
    this.#decide();
  }

  /** Soon, so that the answer to what caused it has left. */
  #restart(): void {
    this.#tell({ kind: "restarting" });
    const { reboot } = this.#settings;
    if (reboot) this.#later(DEFAULT_UPGRADE_DELAY_MS, reboot);
  }

  #later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }

  #tell(event: AgentEvent): void {
    this.#settings.onEvent?.(event);
  }
}

const UNAUTHORIZED = { code: RESPONSES.unauthorized, payload: EMPTY };

function isPullable(uri: string, pullSchemes: readonly PullScheme[]): boolean {
  const parts = parsePackageUri(uri);
  return parts !== undefined && pullSchemes.includes(parts.scheme);
}
