/** What exists of an agent between its start and its close, and how its parts are put together. */
import { CoapRefusal } from "@airlift/protocol/coap/exchange";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { sendRequest } from "@airlift/protocol/lwm2m/reporting";
import type { Account } from "./account.ts";
import { createAgentObjects } from "./agent-objects.ts";
import { type AgentEvent, type AgentSettings, bindingOf } from "./agent-options.ts";
import type { AgentUnits, UnitPorts } from "./agent-units.ts";
import { ObjectRequests } from "./objects/requests.ts";
import type { ObjectTree } from "./objects/resource.ts";
import { ObserverList } from "./observer-list.ts";
import { PackagePushes } from "./package-pushes.ts";
import type { PullHandlers } from "./ports.ts";
import { type PullClient, PullDesk } from "./pull-desk.ts";
import { pullListener } from "./pull-listener.ts";
import { streamPullOptions } from "./pull-security.ts";
import { Puller, type PullListener } from "./puller.ts";
import { Registrar } from "./registrar.ts";
import { SendReports } from "./send-reports.ts";
import type { ContactFailure, ServerChannel } from "./server-channel.ts";
import { ServerRequests } from "./server-requests.ts";
import type { Persisted } from "./update/persisted.ts";
import { UpdateRunner } from "./update-runner.ts";

export interface AgentParts {
  readonly runner: UpdateRunner;
  /** Where all pulls are waited for, of object 5 and of all units. */
  readonly desk: PullDesk;
  /** The one that fetches for them. */
  readonly puller: Puller;
  readonly pulls: PullClient;
  readonly units: AgentUnits;
  readonly registrar: Registrar;
  readonly observers: ObserverList;
  readonly reports: SendReports | undefined;
  readonly answers: ServerRequests;
}

/** What the parts need of the agent that has them. */
export interface AgentHost {
  readonly settings: AgentSettings;
  readonly channel: ServerChannel;
  /** The server that the agent has at present, or had last. */
  account(): Account | undefined;
  /** Asks to be bootstrapped anew; absent where there is no bootstrap server. */
  readonly bootstrap: (() => void) | undefined;
  onUnreachable(failure: ContactFailure): void;
  /** Whether to lose a datagram of any socket. */
  readonly loss: (direction: "in" | "out", datagram: Uint8Array) => boolean;
  tell(event: AgentEvent): void;
  restart(): void;
  onRegistered(): void;
  /** What a request of the server has to wait for. */
  isReady(): Promise<void> | undefined;
  createUnits(ports: UnitPorts): AgentUnits;
}

export function composeAgent(host: AgentHost, persisted: Persisted): AgentParts {
  const { settings, channel } = host;
  const runner = createRunner(host, persisted, () => parts);
  const pushes = new PackagePushes(runner, settings.methods !== "pull");
  const desk: PullDesk = new PullDesk((listener) => createPuller({ host, listener, handlers: () => desk.handlers }));
  const units = createUnits(host, desk, () => parts);
  const mute = { isMuted: false };
  const { tree, defaults } = createAgentObjects({
    settings,
    runner,
    pushes,
    others: units.all.flatMap((unit) => unit.objects()),
    account: () => host.account(),
    bootstrap: host.bootstrap,
    lifetimeS: () => parts.registrar.lifetimeS,
    refresh: (seconds) => parts.registrar.refresh(seconds),
    restart: () => host.restart(),
    muteSend: (isMuted) => {
      mute.isMuted = isMuted;
      parts.reports?.flush();
    },
  });
  const requests = new ObjectRequests(tree, settings.lwm2mVersion);
  const observers = new ObserverList({ requests, defaults });
  const registrar = createRegistrar(host, tree, () => parts);
  const parts: AgentParts = {
    runner,
    observers,
    registrar,
    desk,
    puller: desk.puller,
    pulls: desk.client(
      pullListener(runner, (_pull, reason, retryAfterMs) => host.tell({ kind: "pullPaused", reason, retryAfterMs })),
      settings.handlers,
    ),
    units,
    reports: settings.reportBySend ? createReports({ host, requests, registrar, persisted, mute, units }) : undefined,
    answers: new ServerRequests({
      channel,
      runner,
      requests,
      observers,
      pushes: [...(settings.hasFirmware ? [pushes] : []), ...units.all.flatMap((unit) => unit.pushes)],
      units: units.all,
      isReady: () => host.isReady(),
    }),
  };
  channel.coap.serve((request, peer, offer) => parts.answers.answer(request, peer, offer), {
    blockBytes: settings.blockBytes,
    receive: (request, peer) => parts.answers.receive(request, peer),
    onError: (error) => host.tell({ kind: "failure", what: "request", error }),
  });
  return parts;
}

function createRunner(host: AgentHost, persisted: Persisted, parts: () => AgentParts): UpdateRunner {
  const { handlers, store, upgradeDelayMs, handlerTimeoutMs, upgradeTimeoutMs, firmwareObjectVersion } = host.settings;
  const runner: UpdateRunner = new UpdateRunner({
    persisted,
    handlers,
    store,
    utcMs: Date.now,
    upgradeDelayMs,
    allowsDeferral: firmwareObjectVersion !== "1.0",
    handlerTimeoutMs,
    upgradeTimeoutMs,
    onStartPull: (start) => parts().pulls.start(start),
    onPullNext: (pull) => parts().pulls.next(pull, runner.storedBytes),
    onStopPull: () => parts().pulls.stop(),
    onChanged: (resources) => {
      parts().observers.changed(resources.map((resource) => [5, 0, resource]));
      parts().reports?.changed(resources);
      const { state, result } = runner.facts;
      host.tell({ kind: "state", state, result });
    },
    onProgress: (storedBytes) => {
      const sizeBytes = runner.facts.pulled ? parts().puller.sizeBytes : undefined;
      host.tell({ kind: "progress", storedBytes, sizeBytes });
    },
    onRestarting: () => host.restart(),
    onFailure: (what, error) => host.tell({ kind: "failure", what, error }),
  });
  return runner;
}

function createUnits(host: AgentHost, desk: PullDesk, parts: () => AgentParts): AgentUnits {
  return host.createUnits({
    desk,
    onChanged: (paths) => {
      parts().observers.changed(paths);
      parts().reports?.changedAt(paths);
    },
    onRestarting: () => host.restart(),
    tell: (event) => host.tell(event),
  });
}

function createPuller(of: {
  readonly host: AgentHost;
  readonly listener: PullListener;
  /** Of whoever pulls. */
  handlers(): PullHandlers | undefined;
}): Puller {
  const { host, listener, handlers } = of;
  const { pullPolicy: policy, transmission, blockBytes, sameSocketDownloads } = host.settings;
  const onFailure = (what: string, error: unknown): void => host.tell({ kind: "failure", what, error });
  const streams = streamPullOptions({
    handlers: () => handlers() ?? {},
    handlerTimeoutMs: host.settings.handlerTimeoutMs,
    onFailure,
    server: () => host.account(),
  });
  return new Puller({
    listener,
    policy,
    streams,
    coap: {
      session: sameSocketDownloads ? host.channel : undefined,
      bindHost: host.settings.bind?.host,
      loss: host.loss,
      securityFor: streams.securityFor,
      transmissionFor: (uri) => {
        try {
          return handlers()?.transmissionFor?.(uri) ?? transmission;
        } catch (error) {
          onFailure("transmissionFor", error);
          return transmission;
        }
      },
      blockBytes,
    },
  });
}

function createReports(of: {
  readonly host: AgentHost;
  readonly requests: ObjectRequests;
  readonly registrar: Registrar;
  readonly persisted: Persisted;
  readonly mute: { readonly isMuted: boolean };
  readonly units: AgentUnits;
}): SendReports {
  const { host, requests, registrar, persisted, mute, units } = of;
  return new SendReports({
    entriesAt: (path) => {
      // The software's version is not everybody's.
      const isThere = path[0] !== 3 || host.settings.identity.softwareVersion !== undefined || path[2] === 3;
      return isThere ? requests.entriesAt(path) : [];
    },
    send: async (entries) => {
      const response = await registrar.report(sendRequest(entries));
      if (response.code >> 5 !== 2) throw new CoapRefusal(response);
    },
    isOpen: () => registrar.isRegistered && !mute.isMuted,
    onFailure: (error) => host.tell({ kind: "failure", what: "report", error }),
    components: units.components.reported,
    tellsStart: persisted.state !== "idle" || persisted.result !== "initial",
  });
}

function createRegistrar(host: AgentHost, tree: ObjectTree, parts: () => AgentParts): Registrar {
  const { endpoint, lifetimeS, lwm2mVersion, queueMode = false, transmission } = host.settings;
  const objects = () =>
    [...tree.values()].map(({ id, version, instances }) => ({
      objectId: id,
      version,
      instances: [...instances.keys()],
    }));
  const contentFormats = lwm2mVersion === "1.0" ? [] : [CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.tlv];
  return new Registrar({
    channel: host.channel,
    lifetimeS,
    registration: () => ({
      endpoint,
      lwm2mVersion,
      lifetimeS,
      binding: bindingOf(host.account()),
      queueMode,
      smsNumber: undefined,
      objects: { rootSegments: [], contentFormats, objects: objects() },
    }),
    transmission,
    onRegistered: (location) => {
      parts().observers.clear();
      host.onRegistered();
      for (const unit of parts().units.all) unit.registered();
      host.tell({ kind: "registered", location });
    },
    onUnreachable: (failure) => host.onUnreachable(failure),
    onAnswered: () => parts().reports?.flush(),
    onRetry: (retryAfterMs, { code, sentence }) =>
      host.tell({ kind: "registrationFailed", reason: sentence, code, retryAfterMs }),
  });
}
