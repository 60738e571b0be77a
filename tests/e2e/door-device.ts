/** A device at any of the server's doors: it registers, reports, and answers what its resources say. */
import { CODE, formatCode, METHOD } from "@airlift/protocol/coap/codes";
import {
  type CoapRequest,
  type CoapResponse,
  createRequest,
  createResponse,
  type Peer,
} from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { TransportSecurity } from "@airlift/protocol/lib/transport-security";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { pathOf } from "@airlift/protocol/lwm2m/path";
import { sendRequest } from "@airlift/protocol/lwm2m/reporting";
import type { CoapClient, CoapServer } from "@airlift/runtime/coap";
import { CoapNode } from "@airlift/runtime/coap-node";
import { openCoapTcp } from "@airlift/runtime/coap-tcp";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { type DtlsClient, openDtlsClient } from "@airlift/runtime/dtls-client";
import type { DtlsClientCredential } from "@airlift/runtime/dtls-credentials";
import { type SocketAddress, udpPeer } from "@airlift/runtime/udp";

export interface Psk {
  readonly identity: string;
  readonly key: Uint8Array;
}

/** Short times, because some of these tests wait for a handshake to fail. */
export const timing = { retransmitMs: 50, maxRetransmitMs: 200, retransmissions: 4, suspicionMs: 50, lookUpMs: 1_000 };

const devices = new Set<{ close(): Promise<void> }>();

/** Closes every device of this process; may be called twice. */
export async function closeDevices(): Promise<void> {
  await Promise.all([...devices].map((device) => device.close()));
}

/** Methods, so that a device with any kind of peer is a device. */
interface DeviceCoap<P extends Peer> extends CoapClient<P>, CoapServer<P> {
  close(): Promise<void>;
}

export class DoorDevice<P extends Peer = Peer> {
  readonly coap: DeviceCoap<P>;
  readonly server: P;
  /** Every request that came, as "GET /3/0". */
  readonly heard: string[] = [];
  /** What a read of a path answers; absent = not there. */
  readonly resources = new Map([
    ["/3/0/3", "1.0.0"],
    ["/5/0/3", "0"],
    ["/5/0/5", "0"],
    ["/5/0/9", "2"],
  ]);
  #onHeard: (() => void)[] = [];

  constructor(coap: DeviceCoap<P>, server: P) {
    this.coap = coap;
    this.server = server;
    devices.add(coap);
    coap.serve((request) => this.#answer(request), { gatherBytes: 2 ** 20 });
  }

  /** "2.01 /rd/…": the code of the answer, and its location or the reason that it gives. */
  async register(query: string): Promise<string> {
    const payload = encodeUtf8("</3/0>,</5/0>");
    const options = [uintOption(OPTION.contentFormat, 40)];
    return await this.#told(createRequest("post", `/rd?lwm2m=1.1&b=U&lt=60${query}`, { payload, options }));
  }

  update(location: string): Promise<string> {
    return this.#told(createRequest("post", location));
  }

  deregister(location: string): Promise<string> {
    return this.#told(createRequest("delete", location));
  }

  /** A Send that tells of an update. */
  report(): Promise<string> {
    return this.#told(toCoapRequest(sendRequest([{ path: pathOf(5, 0, 3), value: 1 }])));
  }

  /** Resolves when a request of this kind has come. */
  async hears(request: string): Promise<void> {
    while (!this.heard.includes(request)) await new Promise<void>((resolve) => this.#onHeard.push(resolve));
  }

  async #told(request: CoapRequest): Promise<string> {
    const { code, options, payload } = await this.coap.request(this.server, request);
    const location = optionTexts(options, OPTION.locationPath).map((part) => `/${part}`);
    return [formatCode(code), location.join(""), decodeUtf8(payload)].filter((part) => part).join(" ");
  }

  #answer(request: CoapRequest): CoapResponse {
    const path = `/${uriPath(request.options).join("/")}`;
    const verb = Object.entries(METHOD).find(([, code]) => code === request.code)?.[0] ?? "?";
    const text = path === "/5/0/0" ? "" : (decodeUtf8(request.payload) ?? "");
    this.heard.push(`${verb.toUpperCase()} ${path} ${text}`.trim());
    for (const onHeard of this.#onHeard.splice(0)) onHeard();
    if (request.code !== METHOD.get) return createResponse(CODE.changed);
    const value = this.resources.get(path);
    if (value === undefined) return createResponse(path.split("/").length < 4 ? CODE.methodNotAllowed : CODE.notFound);
    return createResponse(CODE.content, encodeUtf8(value), [uintOption(OPTION.contentFormat, 0)]);
  }
}

export async function udpDevice({ address, port }: SocketAddress): Promise<DoorDevice> {
  return new DoorDevice(await openCoapUdp({ host: address }), udpPeer(address, port));
}

export async function dtlsDevice(
  server: SocketAddress,
  psk: Psk,
): Promise<{ device: DoorDevice; dtls: DtlsClient; opened: () => number }> {
  let opened = 0;
  const dtls = await openDtlsClient({
    server,
    host: server.address,
    credential: { psk },
    limits: { timing },
    onEvent: ({ kind }) => {
      if (kind === "opened") opened += 1;
    },
  });
  return { device: new DoorDevice(new CoapNode(dtls), dtls.server), dtls, opened: () => opened };
}

/** Over DTLS with any credential. */
export async function certifiedDevice(server: SocketAddress, credential: DtlsClientCredential): Promise<DoorDevice> {
  const dtls = await openDtlsClient({ server, host: server.address, credential, limits: { timing } });
  return new DoorDevice(new CoapNode(dtls), dtls.server);
}

/** Over TLS with a credential, else over TCP. */
export async function tcpDevice(server: SocketAddress, credential?: Psk | TransportSecurity): Promise<DoorDevice> {
  const { address, port } = server;
  const coap = await openCoapTcp();
  const security = credential && ("kind" in credential ? credential : { kind: "psk" as const, ...credential });
  try {
    return new DoorDevice(coap, await coap.connect({ host: address, port, security }));
  } catch (error) {
    await coap.close();
    throw error;
  }
}
