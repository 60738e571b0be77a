/** All doors of the server: opened together, and asked together for the way to a device. */
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CoapUdpOptions } from "@airlift/runtime/coap-udp";
import type { ListenOptions } from "@airlift/runtime/tcp-listener";
import type { SocketAddress } from "@airlift/runtime/udp";
import type { Logger } from "pino";
import type { DeviceCredentials, ProvenIdentity } from "../fleet/credentials.ts";
import { PeerGate, type PeerGateOptions } from "../fleet/peer-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Transport } from "../fleet/sender.ts";
import {
  type Answerer,
  type DevicePeer,
  type Door,
  type DoorGuard,
  type DoorLoad,
  type DoorService,
  formatAddress,
  type Visitor,
} from "./door.ts";
import { type DoorSessions, type DtlsDoor, type DtlsDoorOptions, openDtlsDoor } from "./dtls-door.ts";
import type { Refusals } from "./refusals.ts";
import type { ServerIdentity } from "./server-identity.ts";
import { keepSessions, takeSessions } from "./session-file.ts";
import { openTcpDoor } from "./tcp-door.ts";
import { openUdpDoor } from "./udp-door.ts";

/** Where a transport's doors are. */
export interface DoorPlace {
  /** One or several addresses; default all of IPv4. `::` takes IPv4 as well. */
  readonly host?: string | readonly string[] | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
}

export interface DoorsOptions {
  /** Absent: no such doors. */
  readonly udp?: (DoorPlace & Omit<CoapUdpOptions, "host" | "port">) | undefined;
  readonly tcp?: DoorPlace | undefined;
  /** These two need `credentials` and `identity`. */
  readonly dtls?: DoorPlace | undefined;
  readonly tls?: DoorPlace | undefined;
  readonly credentials?: DeviceCredentials | undefined;
  readonly identity?: ServerIdentity | undefined;
  /** How fast one peer may send; null: as fast as it likes. Default: the limits of `PeerGate`. */
  readonly peerGate?: PeerGateOptions | null | undefined;
  /** Where DTLS sessions wait for the next run; absent: devices make new ones. */
  readonly sessionFile?: string | undefined;
}

export interface DoorsSurroundings {
  readonly log: Logger;
  readonly refusals: Refusals;
  /** A device has a new session at a door. */
  onSession(visitor: Visitor, door: Door): void;
  /** As `DoorGate.onFlood`. */
  onFlood(visitor: Visitor, refusedCount: number): void;
  /** As `DoorGuard.onLost`. */
  onLost(endpoint: string): void;
}

export class Doors {
  readonly #options: DoorsOptions;
  readonly #log: Logger;
  readonly #doors: Door[] = [];
  readonly #dtls = new Map<string, DtlsDoor>();
  #authorities = "";
  #stopHearing: (() => void) | undefined;

  private constructor(options: DoorsOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  /**
   * @throws {EnvironmentError} PORT_IN_USE and the like
   * @throws {UsageError} `DTLS_CREDENTIAL`
   */
  static async open(options: DoorsOptions, surroundings: DoorsSurroundings): Promise<Doors> {
    const doors = new Doors(options, surroundings.log);
    try {
      const { udp, tcp } = options;
      const guard = () => doors.#guardOf(surroundings);
      for (const host of hostsOf(udp)) doors.#doors.push(await openUdpDoor({ ...udp, host }, guard()));
      for (const host of hostsOf(tcp)) doors.#doors.push(await openTcpDoor({ host, port: tcp?.port }, guard()));
      if (options.credentials && options.identity && (options.dtls || options.tls))
        await doors.#openSecured(options.credentials, surroundings);
      return doors;
    } catch (error) {
      await doors.close();
      throw error;
    }
  }

  /** Where the first door of a transport listens; `undefined` where there is none. */
  addressOf(transport: Transport): SocketAddress | undefined {
    return this.#doors.find((door) => door.transport === transport)?.address;
  }

  loads(): readonly DoorLoad[] {
    return this.#doors.map(({ load }) => load);
  }

  serve(
    answer: (...visit: [...Parameters<Answerer>, door: Door]) => ReturnType<Answerer>,
    onBodyRefused: DoorService["onBodyRefused"],
  ): void {
    for (const door of this.#doors)
      door.serve({
        answer: (request, visitor) => answer(request, visitor, door),
        onError: (error) => this.#log.error({ err: error }, "a request could not be answered"),
        onBodyRefused,
      });
  }

  find(device: Registration): DevicePeer | undefined {
    for (const door of this.#doors) {
      const peer = door.transport === device.transport ? door.find(device) : undefined;
      if (peer !== undefined) return peer;
    }
    return undefined;
  }

  forget(endpoint: string): void {
    for (const door of this.#doors) door.forget(endpoint);
  }

  /** As `Door.revoke`. */
  revoke(identity: ProvenIdentity): readonly string[] {
    return this.#doors.flatMap((door) => door.revoke(identity));
  }

  /** Keeps the DTLS sessions for the next run; peers over TCP are told. */
  async close(): Promise<void> {
    this.#stopHearing?.();
    const { sessionFile } = this.#options;
    if (sessionFile !== undefined && this.#dtls.size > 0) {
      const sessions = new Map(Array.from(this.#dtls, ([host, door]) => [host, door.exportSessions()] as const));
      await keepSessions(sessionFile, sessions, this.#log);
    }
    await Promise.allSettled(this.#doors.map((door) => door.close()));
  }

  #guardOf({ onFlood, onLost }: Pick<DoorsSurroundings, "onFlood" | "onLost">): DoorGuard {
    const { peerGate } = this.#options;
    return { gate: peerGate === null ? undefined : new PeerGate(peerGate), onFlood, onLost };
  }

  async #openSecured(credentials: DeviceCredentials, surroundings: DoorsSurroundings): Promise<void> {
    const { dtls, tls } = this.#options;
    this.#authorities = await credentials.authoritiesPem();
    if (tls) for (const host of hostsOf(tls)) this.#doors.push(await this.#openTls({ ...tls, host }, surroundings));
    if (dtls) await this.#openAllDtls(hostsOf(dtls), surroundings);
    this.#stopHearing = credentials.onAuthorities(() => void this.#readAuthorities(credentials));
  }

  async #openAllDtls(hosts: readonly string[], surroundings: DoorsSurroundings): Promise<void> {
    const { sessionFile } = this.#options;
    const kept = sessionFile === undefined ? new Map() : await takeSessions(sessionFile, this.#log);
    try {
      for (const host of hosts) {
        const door = await this.#openDtls(host, kept.get(host), surroundings);
        this.#doors.push(door);
        this.#dtls.set(host, door);
      }
    } catch (error) {
      // A port that is taken shall not cost the sessions: nothing was sent with them yet.
      if (sessionFile !== undefined && kept.size > 0 && this.#dtls.size === 0)
        await keepSessions(sessionFile, kept, this.#log);
      throw error;
    }
  }

  async #openDtls(
    host: string,
    sessions: DoorSessions | undefined,
    surroundings: DoorsSurroundings,
  ): Promise<DtlsDoor> {
    const { credentials, identity, dtls } = this.#options;
    const { refusals, onSession } = surroundings;
    const options = {
      ...this.#guardOf(surroundings),
      udp: { host, port: dtls?.port },
      credentials: {
        psk: (name) => credentials?.psk(name),
        certificate: identity?.isForDtls ? identity.certificate : undefined,
        rpk: identity && { keyPem: identity.rpkKeyPem },
        trust: { rpk: (print) => credentials?.rpk(print), certificatesPem: this.#authorities },
      },
      onSession: (visitor) => onSession(visitor, door),
      onRefused: ({ code, why, address }) =>
        void refusals.add({ transport: "dtls", code, why, address: formatAddress(address) }),
    } satisfies Omit<DtlsDoorOptions, "sessions">;
    const door: DtlsDoor = await openWith(options, sessions, this.#log);
    return door;
  }

  #openTls(place: { readonly host: string; readonly port?: number | undefined }, surroundings: DoorsSurroundings) {
    const { refusals } = surroundings;
    const { credentials, identity } = this.#options;
    const { chainPem, keyPem } = identity?.certificate ?? {};
    const listen = {
      host: place.host,
      port: place.port,
      security: {
        findPsk: (name) => credentials?.psk(name) ?? Promise.resolve(undefined),
        certificate: chainPem,
        privateKey: keyPem,
        ...(chainPem !== undefined && { trust: this.#authorities }),
      },
      onRefused: (from, { code = "TLS_FAILED" }) => {
        const why = `a TLS handshake failed (${code})`;
        refusals.add({ transport: "tls", code, why, address: formatAddress(from) });
      },
    } satisfies ListenOptions;
    return openTcpDoor(listen, this.#guardOf(surroundings));
  }

  async #readAuthorities(credentials: DeviceCredentials): Promise<void> {
    try {
      const pem = await credentials.authoritiesPem();
      if (pem === this.#authorities) return;
      const isLess = certificatesIn(this.#authorities).some((one) => !pem.includes(one));
      this.#authorities = pem;
      for (const door of this.#doors) {
        door.setAuthorities(pem);
        if (isLess) door.distrust();
      }
    } catch (error) {
      this.#log.warn({ err: error }, "the authorities of device certificates could not be read");
    }
  }
}

/** Sessions that cannot be taken up keep no server from serving. */
async function openWith(
  options: Omit<DtlsDoorOptions, "sessions">,
  sessions: DoorSessions | undefined,
  log: Logger,
): Promise<DtlsDoor> {
  try {
    return await openDtlsDoor({ ...options, sessions });
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "DTLS_SNAPSHOT") throw error;
    log.warn({ code: error.code }, "the sessions of the last run cannot be read: devices make new ones");
    return openDtlsDoor({ ...options, sessions: undefined });
  }
}

const certificatesIn = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];

function hostsOf(place: DoorPlace | undefined): readonly string[] {
  if (place === undefined) return [];
  const { host = "0.0.0.0" } = place;
  return typeof host === "string" ? [host] : host;
}
