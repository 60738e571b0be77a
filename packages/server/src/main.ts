/** The composition root: opens the store, the LwM2M server and the API in this order, and closes them in the other. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { UsageError } from "@airlift/protocol/lib/errors";
import { createModels, type Models } from "@airlift/protocol/lwm2m/model";
import { STANDARD_MODELS, STANDARD_OBJECTS } from "@airlift/protocol/lwm2m/objects/standard";
import { loadObjectModels } from "@airlift/runtime/object-models";
import type { Logger } from "pino";
import { Counter, Gauge, Registry } from "prom-client";
import { createApi } from "./api/create-api.ts";
import { listen } from "./api/listen.ts";
import type { OidcOptions } from "./api/oidc.ts";
import { TlsFiles } from "./api/tls-files.ts";
import type { ServeConfig } from "./config.ts";
import { describeDoors } from "./door-metrics.ts";
import { keepFirstToken } from "./first-token.ts";
import { bootstrapKeys } from "./fleet/bootstrap-keys.ts";
import type { DeviceCredentials } from "./fleet/credentials.ts";
import type { Transport } from "./fleet/sender.ts";
import { inspectWith, loadTrustedKeys } from "./image-inspection.ts";
import { AnyDevice } from "./links/any-device.ts";
import { BroadcastDelivery } from "./links/broadcast-delivery.ts";
import type { CampaignRunner } from "./links/campaign-runner.ts";
import { formatAddress, SCHEMES } from "./links/door.ts";
import type { DoorsOptions } from "./links/doors.ts";
import { Lwm2mServer } from "./links/lwm2m-server.ts";
import { MeshDoor } from "./links/mesh-door.ts";
import { MeshReleases } from "./links/mesh-releases.ts";
import type { ObservationTable } from "./links/observation-table.ts";
import { loadServerIdentity, SERVER_PUBLIC_KEY_FILE } from "./links/server-identity.ts";
import { SESSION_FILE } from "./links/session-file.ts";
import { describeMesh } from "./mesh-metrics.ts";
import { outageLog } from "./outage-log.ts";
import type { MeshReport } from "./store/mesh-updates.ts";
import type { RetentionLimits } from "./store/retention.ts";
import { openStores } from "./store/stores.ts";
import { keepTidy } from "./tidying.ts";
import { WebhookSender } from "./webhooks/webhook-sender.ts";

export interface RunningServer {
  /** Base URL of API and console, "http://127.0.0.1:8080". */
  readonly httpUrl: string;
  /** Where CoAP is, "coap://0.0.0.0:5683", one for each transport that is open. */
  readonly coapUrls: readonly string[];
  /** Ends what was started, in the reverse order; updates under way are taken up by the next start. */
  close(): Promise<void>;
}

/**
 * Starts everything `airlift serve` consists of.
 *
 * @throws {UsageError} TRUSTED_KEY, DATABASE_NEWER, DATA_IN_USE, MASTER_KEY, TLS_FILES, TLS_FILE, DTLS_CREDENTIAL, OIDC_SECRET
 * @throws {EnvironmentError} PORT_IN_USE and the like, DATA_FOLDER, DATABASE_AWAY, DATABASE_START, DISK_FULL, MASTER_KEY_FILE, FIRST_TOKEN
 */
export async function startServer(config: ServeConfig, plainLog: Logger): Promise<RunningServer> {
  const { log, listener: onOutage } = outageLog(plainLog);
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    const failures: unknown[] = [];
    // One that cannot end in order keeps no other from it: the embedded database, last of all, would go on without us.
    for (const end of opened.splice(0).reverse()) await end().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const trusted = await loadTrustedKeys(config.trustedKeyFiles);
    const stores = await openStores({
      dataDir: config.dataDir,
      imageDir: config.imageDir,
      databaseUrl: config.databaseUrl,
      maxImageBytes: config.maxImageBytes,
      inspect: inspectWith(trusted),
      masterKey: {
        text: config.masterKey,
        file: config.masterKeyFile ?? join(config.dataDir, "master.key"),
        onCreated: (file) => log.warn({ file }, "made the key that device keys are encrypted under: keep a copy of it"),
      },
      retention: retentionOf(config),
      onOutage,
      node: { name: nodeName(config), onReplaced: () => log.error("another server runs under this one's name") },
      onTrouble: (what, facts) =>
        log[what === "databaseTakenOver" || what === "lockConflict" ? "warn" : "error"](
          { what, ...facts },
          TROUBLES[what],
        ),
    });
    opened.push(() => stores.close());
    const models = await loadModels(config.modelsDir, log);
    if (!config.noAuth) await keepFirstToken(stores.tokens, config.dataDir, log);
    const tls = await TlsFiles.open(config, log);
    if (tls !== undefined) opened.push(async () => tls.close());
    let httpPort = config.httpPort;
    const releases = new MeshReleases(stores, join(config.dataDir, "mesh"));
    let campaigns: CampaignRunner | undefined;
    // What comes before there is a runner, it finds on record.
    const onTransition = (report: MeshReport) => campaigns?.onTransition(report);
    const broadcast = new BroadcastDelivery({ stores, releases, log, onTransition });
    const mesh = new MeshDoor({ stores, releases, broadcast });
    const lwm2m = await Lwm2mServer.open({
      ...(await doorsOf(config, stores.credentials, log)),
      stores,
      log,
      publicHost: config.publicHost,
      models,
      httpPort: () => httpPort,
      httpScheme: tls === undefined ? "http" : "https",
      plainDevices: config.plainDevices,
      peerGate: config.peerRate === null ? null : { requestsPerSecond: config.peerRate },
      presence: { awakeMs: config.awakeWindowS * 1000 },
      bootstrap: bootstrapKeys(stores.credentials),
      broadcast,
      namedContents: (request) => mesh.answer(request),
    });
    opened.push(() => lwm2m.close());
    campaigns = lwm2m.campaigns;
    broadcast.start();
    opened.push(() => broadcast.close());
    const metrics = new Registry();
    describeFleet(metrics, lwm2m);
    describeDoors(metrics, lwm2m);
    describeMesh(metrics, stores);
    const coapUrls = urlsOf(lwm2m);
    const app = await createApi({
      config,
      stores,
      commands: new AnyDevice(lwm2m.engine, broadcast),
      mesh,
      campaigns: lwm2m.campaigns,
      operations: lwm2m.operations,
      fleet: lwm2m,
      log,
      metrics,
      oidc: await loadOidc(config),
      tls,
      coapUrls,
    });
    opened.push(async () => void (await app.close()));
    const { outbox, events, retention } = stores;
    const { allowHttpWebhooks: allowsHttp, allowPrivateWebhooks: allowsPrivate } = config;
    const webhooks = new WebhookSender({ outbox, events, policy: { allowsHttp, allowsPrivate }, log });
    webhooks.start();
    opened.push(() => webhooks.close());
    opened.push(keepTidy(retention, log));
    const httpUrl = await listen(app, config.httpHost, config.httpPort);
    httpPort = Number(new URL(httpUrl).port);
    await stores.nodes.announce(config.apiUrl ?? reachableUrl(httpUrl));
    log.info({ httpUrl, coapUrls }, "serving");
    return { httpUrl, coapUrls, close };
  } catch (error) {
    await close().catch((failure) => log.error({ err: failure }, "what was opened could not all be closed"));
    throw error;
  }
}

const TROUBLES = {
  batchFailed: "the database does not take what devices report: it waits here and is written later",
  databaseCrashed: "the embedded database ended by itself and is started again",
  databaseTakenOver:
    "the embedded database was still running: the last server ended without stopping it. It is taken over, nothing is lost",
  listenerFailed: "a part of the server could not take in an event",
  eventRefused: "the database refuses an event: its line is missing on the timeline",
  eventsLost:
    "events are lost, their lines are missing on timelines: more wait for the database than are kept, or the server ends",
  lockConflict: "two transactions waited for each other: one of them is tried again",
} as const;

/** @throws {UsageError} OIDC_SECRET when the file with the client's secret cannot be read. */
async function loadOidc(config: ServeConfig): Promise<OidcOptions | undefined> {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecretFile: file } = config;
  if (issuer === null || clientId === null || file === null) return undefined;
  const clientSecret = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "there is no such file" : error.message;
    throw new UsageError("OIDC_SECRET", `--oidc-client-secret-file ${file}: ${reason}`, { file }, { cause: error });
  });
  const { oidcRoleClaim: roleClaim, oidcNameClaim: nameClaim, oidcRoles: roles } = config;
  return { issuer, clientId, clientSecret: clientSecret.trim(), roleClaim, nameClaim, roles };
}

/** The objects that this project knows, and those of the operator's folder, which go before them. */
async function loadModels(folder: string | null, log: Logger): Promise<Models> {
  if (folder === null) return STANDARD_MODELS;
  const { objects, failures } = await loadObjectModels(folder);
  for (const { file, error } of failures)
    log.warn({ file, code: error.code, reason: error.message }, "an object model cannot be read");
  log.info({ folder, count: objects.length }, "object models are loaded");
  return createModels([...STANDARD_OBJECTS, ...objects]);
}

const retentionOf = (config: ServeConfig): RetentionLimits => ({
  eventsMs: config.keepEvents,
  eventCount: config.keepEventCount,
  updatesMs: config.keepUpdates,
  exchangesMs: config.keepExchanges,
  campaignTargetsMs: config.keepCampaignTargets,
  requestsMs: config.keepRequests,
});

/** The doors that the settings ask for. */
async function doorsOf(config: ServeConfig, credentials: DeviceCredentials, log: Logger): Promise<DoorsOptions> {
  const at = (port: number | null) => (port === null ? undefined : { host: config.hosts, port });
  const { dataDir, tlsCertFile, tlsKeyFile } = config;
  const identity = await loadServerIdentity({ dataDir, certificateFile: tlsCertFile, keyFile: tlsKeyFile });
  if (identity.certificate !== undefined && !identity.isForDtls && config.coapsPort !== null)
    log.warn(
      { certificate: tlsCertFile, publicKey: join(dataDir, SERVER_PUBLIC_KEY_FILE) },
      "the key of --tls-cert is not ECDSA on P-256: over DTLS devices are shown the server's raw public key instead",
    );
  return {
    udp: at(config.coapPort),
    tcp: at(config.coapTcpPort),
    dtls: at(config.coapsPort),
    tls: at(config.coapsTcpPort),
    credentials,
    identity,
    sessionFile: join(dataDir, SESSION_FILE),
  };
}

function urlsOf(lwm2m: Lwm2mServer): string[] {
  return (Object.keys(SCHEMES) as Transport[]).flatMap((transport) => {
    const address = lwm2m.addressOf(transport);
    return address === undefined ? [] : [`${SCHEMES[transport]}://${formatAddress(address)}`];
  });
}

/** A socket is bound once on a machine: the same name after a restart, and never two of them at a time. */
function nodeName({ hosts, coapPort, coapsPort, coapTcpPort }: ServeConfig): string | undefined {
  const port = [coapPort, coapsPort, coapTcpPort].find((one) => one !== null && one !== 0);
  return port === undefined ? undefined : `${hostname()}/${hosts[0]}:${port}`;
}

/** An address that stands for all of a machine's is of no use on another one. */
function reachableUrl(httpUrl: string): string {
  const url = new URL(httpUrl);
  const isAny = url.hostname === "0.0.0.0" || url.hostname === "[::]";
  return `${url.protocol}//${isAny ? hostname() : url.hostname}:${url.port}`;
}

function describeFleet(metrics: Registry, lwm2m: Lwm2mServer): void {
  const registers = [metrics];
  new Gauge({
    name: "airlift_registered_devices",
    help: "Devices whose registration has not ended",
    registers,
    collect() {
      this.set(lwm2m.registrationCount);
    },
  });
  new Counter({
    name: "airlift_device_faults_total",
    help: "What devices did that they should not, by kind and by the code they were answered",
    labelNames: ["kind", "code"],
    registers,
    collect() {
      this.reset();
      for (const { kind, code, count } of lwm2m.faults.counts()) this.inc({ kind, code }, count);
    },
  });
  new Gauge({
    name: "airlift_waiting_requests",
    help: "Requests that wait until their device is awake",
    registers,
    collect() {
      this.set(lwm2m.queue.size);
    },
  });
  new Gauge({
    name: "airlift_running_updates",
    help: "Updates that are under way",
    registers,
    collect() {
      this.set(lwm2m.engine.runningCount);
    },
  });
  new Counter({
    name: "airlift_push_smaller_blocks_total",
    help: "Pushes that began again in smaller blocks, because the device refused one with 4.13",
    registers,
    collect() {
      this.reset();
      this.inc(lwm2m.engine.smallerBlocksCount);
    },
  });
  describeOperations(metrics, lwm2m.operations.observations.table);
}

function describeOperations(metrics: Registry, table: ObservationTable): void {
  const registers = [metrics];
  new Gauge({
    name: "airlift_observations",
    help: "Observations of devices that are kept",
    registers,
    collect() {
      this.set(table.size);
    },
  });
  const counters = [
    ["airlift_notifications_total", "Notifications taken", () => table.notificationCount],
    ["airlift_notifications_dropped_total", "Notifications and reports that came too fast", () => table.droppedCount],
    ["airlift_notification_floods_total", "Observations ended because a device flooded", () => table.floodCount],
  ] as const;
  for (const [name, help, count] of counters) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(count());
      },
    });
  }
}
