/** A LwM2M server that does what a test tells it, on a real socket of this machine. */

import { type CoapAnswer, memorySource } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import {
  CoapRefusal,
  type CoapRequest,
  type CoapResponse,
  createResponse,
  type Peer,
} from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, textOption } from "@airlift/protocol/coap/options";
import { decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { fromCoapRequest, toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { formatPath } from "@airlift/protocol/lwm2m/path";
import { decodeRegister, type Registration } from "@airlift/protocol/lwm2m/registration";
import { decodeSend } from "@airlift/protocol/lwm2m/reporting";
import { type Lwm2mRequest, requestOf } from "@airlift/protocol/lwm2m/request";
import type { CoapClient, CoapServer } from "@airlift/runtime/coap";
import { openCoapUdp } from "@airlift/runtime/coap-udp";

/** What the server listens with. */
export type ScriptedCoap = CoapClient<Peer> & CoapServer<Peer> & { close(): Promise<void> };

export interface ScriptedServer {
  readonly coap: ScriptedCoap;
  readonly uri: string;
  /** Files below /fw; an entity tag of one octet goes with each. */
  readonly files: Map<string, { readonly bytes: Uint8Array; readonly etag: number }>;
  /** Answers of a path below /fw that are none of a file, by its name. */
  readonly answers: Map<string, (request: CoapRequest) => CoapAnswer | Promise<CoapAnswer>>;
  /** What devices have sent to /dp, as `/5/0/3 2`. */
  readonly reports: string[][];
  readonly registrations: Registration[];
  readonly updates: Lwm2mRequest[];
  readonly deregistrations: string[];
  /** Requests for files, in the order in which they came. */
  readonly fetches: CoapRequest[];
  /** Who asked for them. */
  readonly fetchedFrom: Peer[];
  /** Refuses to register anybody as long as it is true. */
  isRefusing: boolean;
  /** Has no /dp as long as it is true. */
  isDeafToReports: boolean;
  /** The device that registered last. */
  device(): Peer;
  /** The next registration; at once when it has happened since the last call. */
  registered(): Promise<Registration>;
  ask(request: Lwm2mRequest): Promise<CoapResponse>;
  /** A resource as text, or the code of the refusal. */
  read(path: string, accept?: number): Promise<string>;
  write(path: string, text: string): Promise<string>;
  execute(path: string): Promise<string>;
  push(bytes: Uint8Array, blockBytes?: number): Promise<string>;
  close(): Promise<void>;
}

export const codeText = (code: number): string => `${code >> 5}.${String(code & 31).padStart(2, "0")}`;
const segments = (path: string): string[] => path.split("/").filter((part) => part !== "");

export async function openScriptedServer(
  loss?: (direction: "in" | "out") => boolean,
  host = "127.0.0.1",
): Promise<ScriptedServer> {
  const transmission = { ackTimeoutMs: 300, ackRandomFactor: 1.5, maxRetransmit: 6 };
  const coap = await openCoapUdp({ host, loss, endpoint: { transmission } });
  return scriptServer(coap, `coap://${host}:${coap.address.port}`);
}

/** The server on whatever it listens with, at `uri`. */
export function scriptServer(coap: ScriptedCoap, uri: string): ScriptedServer {
  const registrations: Registration[] = [];
  const updates: Lwm2mRequest[] = [];
  const deregistrations: string[] = [];
  const fetches: CoapRequest[] = [];
  const fetchedFrom: Peer[] = [];
  const files: ScriptedServer["files"] = new Map();
  const answers: ScriptedServer["answers"] = new Map();
  const reports: string[][] = [];
  let device: Peer | undefined;
  let unseen: Registration | undefined;
  let wanted: ((registration: Registration) => void) | undefined;

  coap.serve((request, peer) => {
    const asked = fromCoapRequest(request);
    const [first, second] = asked.uriPath;
    if (first === "fw" && second !== undefined) {
      fetches.push(request);
      fetchedFrom.push(peer);
      const scripted = answers.get(second);
      if (scripted) return scripted(request);
      const file = files.get(second);
      if (file === undefined) return createResponse(CODE.notFound);
      const etag = { number: OPTION.etag, value: Uint8Array.of(file.etag) };
      return { ...createResponse(CODE.content, new Uint8Array(), [etag]), body: memorySource(file.bytes) };
    }
    if (first === "dp" && !server.isDeafToReports) {
      reports.push(decodeSend(asked).map(({ path, value }) => `${formatPath(path)} ${value}`));
      return createResponse(CODE.changed);
    }
    if (asked.code === METHOD.delete) {
      deregistrations.push(asked.uriPath.join("/"));
      return createResponse(CODE.deleted);
    }
    if (second !== undefined) {
      updates.push(asked);
      return createResponse(CODE.changed);
    }
    if (server.isRefusing) return createResponse(CODE.forbidden);
    const registration = decodeRegister(asked);
    registrations.push(registration);
    device = peer;
    if (wanted) wanted(registration);
    else unseen = registration;
    wanted = undefined;
    const location = [
      textOption(OPTION.locationPath, "rd"),
      textOption(OPTION.locationPath, `${registrations.length}`),
    ];
    return createResponse(CODE.created, new Uint8Array(), location);
  });

  const target = (): Peer => {
    if (device === undefined) throw new Error("no device has registered");
    return device;
  };
  const ask = (request: Lwm2mRequest): Promise<CoapResponse> => coap.request(target(), toCoapRequest(request));
  const codeOf = async (request: Lwm2mRequest): Promise<string> => codeText((await ask(request)).code);
  const server: ScriptedServer = {
    coap,
    fetches,
    fetchedFrom,
    isRefusing: false,
    isDeafToReports: false,
    uri,
    files,
    answers,
    reports,
    registrations,
    updates,
    deregistrations,
    device: target,
    registered: () =>
      new Promise((resolve) => {
        if (unseen === undefined) wanted = resolve;
        else resolve(unseen);
        unseen = undefined;
      }),
    ask,
    read: async (path, accept) => {
      const { code, payload } = await ask(requestOf({ code: METHOD.get, uriPath: segments(path), accept }));
      return code === CODE.content ? (decodeUtf8(payload) ?? "octets") : codeText(code);
    },
    write: (path, text) =>
      codeOf(requestOf({ code: METHOD.put, uriPath: segments(path), contentFormat: 0, payload: encodeUtf8(text) })),
    execute: (path) => codeOf(requestOf({ code: METHOD.post, uriPath: segments(path) })),
    push: async (bytes, blockBytes) => {
      const contentFormat = CONTENT_FORMATS.opaque;
      const request = toCoapRequest(requestOf({ code: METHOD.put, uriPath: ["5", "0", "0"], contentFormat }));
      try {
        return codeText((await coap.upload(target(), request, memorySource(bytes), { blockBytes })).code);
      } catch (error) {
        if (error instanceof CoapRefusal) return codeText(error.response.code);
        throw error;
      }
    },
    close: () => coap.close(),
  };
  return server;
}

/** The format of an answer. */
export const formatOf = (response: CoapResponse): number | undefined =>
  optionUint(response.options, OPTION.contentFormat);
