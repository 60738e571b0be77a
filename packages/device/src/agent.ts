/**
 * The update agent: a LwM2M client that registers, answers its server, and carries firmware updates to the handlers.
 *
 * Composes the cores (update, transfer, session, objects) with one UDP socket.
 */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import type { CoapRequest } from "@airlift/protocol/coap/exchange";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { fromCoapRequest, toCoapAnswer } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { isWithin, type Path, pathOfSegments } from "@airlift/protocol/lwm2m/path";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { ObservationOffer } from "@airlift/runtime/coap";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import type { UdpPeer } from "@airlift/runtime/udp";
import { createAgentObjects } from "./agent-objects.ts";
import { type AgentEvent, type AgentSettings, settle, type UpdateAgentOptions } from "./agent-options.ts";
import { type AgentUnits, loadUnits, type UnitPorts } from "./agent-units.ts";
import type { Component } from "./component-ports.ts";
import { ObjectRequests } from "./objects/requests.ts";
import type { ObjectTree } from "./objects/resource.ts";
import { ObserverList } from "./observer-list.ts";
import { PackagePushes } from "./package-pushes.ts";
import { type PullClient, PullDesk } from "./pull-desk.ts";
import { Puller, type PullListener } from "./puller.ts";
import { Registrar } from "./registrar.ts";
import { Trial } from "./trial.ts";
import { DEFAULT_UPGRADE_DELAY_MS } from "./update/firmware-update.ts";
import { FACTORY, fromStore, type Persisted } from "./update/persisted.ts";
import { UpdateRunner } from "./update-runner.ts";

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
  /** A component of a started agent. @throws {UsageError} NO_COMPONENT */
  component(instance: number): Component;
}

/** @throws {UsageError} AGENT_OPTIONS, with `facts.mistakes`. */
export function createUpdateAgent(options: UpdateAgentOptions): UpdateAgent {
  return new Agent(settle(options));
}

/** Everything that exists only between start and close. */
interface Running {
  readonly coap: CoapUdp;
  readonly runner: UpdateRunner;
  readonly pulls: PullClient;
  readonly registrar: Registrar;
  readonly requests: ObjectRequests;
  readonly observers: ObserverList;
  readonly units: AgentUnits;
  /** The doors for packages. */
  readonly pushes: readonly PackagePushes[];
}

class Agent implements UpdateAgent {
  readonly #settings: AgentSettings;
  #running: Running | undefined;
  #isStarted = false;
  #trial: Trial | undefined;
  #pullSizeBytes: number | undefined;
  #restarting: NodeJS.Timeout | undefined;

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
    const createUnits = await loadUnits(this.#settings);
    const coap = await openCoapUdp({ ...bind, loss, endpoint: { transmission } });
    const running = this.#compose(coap, persisted, createUnits);
    this.#running = running;
    if (persisted.state === "updating") this.#beginTrial();
    coap.serve((request, peer, offer) => this.#serve(running, request, peer, offer), {
      blockBytes,
      receive: (request, peer) => this.#receive(running, request, peer),
      onError: (error) => this.#tell({ kind: "failure", what: "request", error }),
    });
    running.runner.feed({ kind: "start" });
    for (const unit of running.units.all) unit.start();
    running.registrar.open();
  }

  async close({ saysGoodbye = true }: { readonly saysGoodbye?: boolean } = {}): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#trial?.stop();
    clearTimeout(this.#restarting);
    if (running === undefined) return;
    running.pulls.stop();
    running.runner.stop();
    for (const unit of running.units.all) unit.stop();
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

  component(instance: number): Component {
    if (this.#running === undefined)
      throw new UsageError("AGENT_NOT_RUNNING", "the agent has not started, or is closed");
    return this.#running.units.components.component(instance);
  }

  // ---- composition ----

  #compose(coap: CoapUdp, persisted: Persisted, createUnits: (ports: UnitPorts) => AgentUnits): Running {
    const settings = this.#settings;
    const runner = this.#createRunner(persisted, () => running);
    const desk = new PullDesk((listener) => this.#createPuller(coap, listener));
    const units = createUnits({
      desk,
      onChanged: (paths) => running.observers.changed(paths),
      onRestarting: () => this.#restart(),
      tell: (event) => this.#tell(event),
    });
    const pushes = new PackagePushes(runner, settings.methods !== "pull");
    const { tree, defaults } = createAgentObjects({
      settings,
      runner,
      pushes,
      others: units.all.flatMap((unit) => unit.objects()),
      lifetimeS: () => running.registrar.lifetimeS,
      refresh: (seconds) => running.registrar.refresh(seconds),
      restart: () => this.#restart(),
    });
    const requests = new ObjectRequests(tree, settings.lwm2mVersion);
    const running: Running = {
      coap,
      runner,
      units,
      pushes: [...(settings.hasFirmware ? [pushes] : []), ...units.all.flatMap((unit) => unit.pushes)],
      requests,
      pulls: desk.client(this.#pullListener(runner)),
      observers: new ObserverList({ requests, defaults }),
      registrar: this.#createRegistrar(coap, tree),
    };
    return running;
  }

  #createRunner(persisted: Persisted, running: () => Running): UpdateRunner {
    const { handlers, store, upgradeDelayMs } = this.#settings;
    const runner: UpdateRunner = new UpdateRunner({
      persisted,
      handlers,
      store,
      utcMs: Date.now,
      upgradeDelayMs,
      onStartPull: (start) => running().pulls.start(start),
      onPullNext: (pull) => running().pulls.next(pull, runner.storedBytes),
      onStopPull: () => running().pulls.stop(),
      onChanged: (resources) => this.#changed(running(), resources),
      onProgress: (storedBytes) => {
        const sizeBytes = runner.facts.pulled ? this.#pullSizeBytes : undefined;
        this.#tell({ kind: "progress", storedBytes, sizeBytes });
      },
      onRestarting: () => this.#restart(),
      onFailure: (what, error) => this.#tell({ kind: "failure", what, error }),
    });
    return runner;
  }

  #createPuller(client: CoapUdp, listener: PullListener): Puller {
    const { pullPolicy: policy, transmission, blockBytes } = this.#settings;
    return new Puller({ client, listener, policy, transmission, blockBytes });
  }

  #pullListener(runner: UpdateRunner): PullListener {
    return {
      onOrigin: (pull, etag, sizeBytes) => {
        this.#pullSizeBytes = sizeBytes;
        runner.feed({ kind: "pullOrigin", pull, etag });
      },
      onChunk: (pull, offset, bytes) => runner.feed({ kind: "pullChunk", pull, offset, bytes }),
      onEnded: (pull) => runner.feed({ kind: "pullEnded", pull }),
      onChanged: (pull) => runner.feed({ kind: "pullChanged", pull }),
      onFailed: (pull, result) => runner.feed({ kind: "pullFailed", pull, result }),
      onPause: (_pull, reason, retryAfterMs) => this.#tell({ kind: "pullPaused", reason, retryAfterMs }),
    };
  }

  #createRegistrar(coap: CoapUdp, tree: ObjectTree): Registrar {
    const { address, endpoint, lifetimeS, lwm2mVersion, queueMode = false, transmission } = this.#settings;
    const { registrationRetry: retry } = this.#settings;
    const objects = [...tree.values()].map(({ id, version, instances }) => ({
      objectId: id,
      version,
      instances: [...instances.keys()],
    }));
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
        void this.#trial?.succeed();
        for (const unit of this.#running?.units.all ?? []) unit.registered();
        this.#tell({ kind: "registered", location });
      },
      onRetry: (retryAfterMs, reason) => this.#tell({ kind: "registrationFailed", reason, retryAfterMs }),
    });
  }

  // ---- the server's requests ----

  #receive({ registrar, pushes }: Running, request: CoapRequest, peer: UdpPeer) {
    if (!registrar.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    for (const door of pushes) {
      const encoding = door.encodingOf(request);
      if (encoding !== undefined) return door.sink(encoding);
    }
    return undefined;
  }

  async #serve(
    running: Running,
    request: CoapRequest,
    peer: UdpPeer,
    offer: ObservationOffer | undefined,
  ): Promise<CoapAnswer> {
    const { registrar, pushes, requests, observers, units } = running;
    if (!registrar.isServer(peer)) return toCoapAnswer(UNAUTHORIZED);
    await this.#trial?.decided;
    for (const unit of units.all) await unit.decided();
    for (const door of pushes) {
      const encoding = door.encodingOf(request);
      if (encoding === undefined) continue;
      return toCoapAnswer({ code: await door.whole(request.payload, encoding), payload: EMPTY });
    }
    const asked = fromCoapRequest(request);
    const answer = await requests.answer(asked);
    if (answer.code === CODE.content) this.#hasRead(running, asked, offer);
    else if (asked.code !== METHOD.get) {
      observers.attributesChanged();
      observers.changed([[1], [3]]);
    }
    return toCoapAnswer(answer);
  }

  #hasRead({ runner, observers, units }: Running, asked: Lwm2mRequest, offer: ObservationOffer | undefined): void {
    if (asked.accept === CONTENT_FORMATS.linkFormat) return;
    const path = pathOfSegments(asked.uriPath);
    if (isWithin(path, UPDATE_RESULT)) runner.feed({ kind: "resultTold" });
    for (const unit of units.all) unit.hasRead(path);
    if (offer !== undefined) observers.accept(path, asked.accept, offer);
  }

  // ---- what happens inside ----

  #changed({ observers }: Running, resources: readonly number[]): void {
    observers.changed(resources.map((resource) => [FIRMWARE_UPDATE_ID, 0, resource]));
    this.#tell({ kind: "state", state: this.state, result: this.result });
  }

  /** Only where somebody can confirm it; else the outcome comes by `setResult`. */
  #beginTrial(): void {
    const { slots, handlers, trialTimeoutMs } = this.#settings;
    const confirm = slots ? () => slots.confirm() : handlers.confirm && (() => handlers.confirm?.());
    if (confirm === undefined) return;
    this.#trial = new Trial({
      confirm,
      onDecided: (error) => {
        if (error !== undefined) this.#tell({ kind: "failure", what: "confirm", error });
        this.setResult(error === undefined ? "success" : "failed");
      },
      onExpired: () => this.#restart(),
      timeoutMs: trialTimeoutMs,
    });
  }

  /** Soon, so that the answer to what caused it has left. */
  #restart(): void {
    this.#tell({ kind: "restarting" });
    const { reboot } = this.#settings;
    if (reboot) this.#restarting ??= setTimeout(reboot, DEFAULT_UPGRADE_DELAY_MS);
  }

  #tell(event: AgentEvent): void {
    this.#settings.onEvent?.(event);
  }
}

const UNAUTHORIZED = { code: CODE.unauthorized, payload: EMPTY };
