/** The extensions of both hellos that mean something here; all others are ignored (RFC 5246 §7.4.1.4). */
import { decodeUtf8, EMPTY, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { OctetReader, readAll, uintBytes, vector } from "./octets.ts";

const EXTENSION = {
  serverName: 0,
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  clientCertificateType: 19,
  serverCertificateType: 20,
  encryptThenMac: 22,
  extendedMasterSecret: 23,
  connectionId: 54,
  renegotiationInfo: 0xff01,
} as const;

/** secp256r1. @see RFC 8422 §5.1.1 */
export const GROUP_P256 = 23;
/** ecdsa_secp256r1_sha256, as SHA-256 with ECDSA. @see RFC 5246 §7.4.1.4.1 */
export const SIGNATURE_ECDSA_SHA256 = 0x0403;
const HOST_NAME = 0;
const UNCOMPRESSED = 0;

/** @see RFC 7250 §3 */
export const CERTIFICATE_TYPE = { x509: 0, rpk: 2 } as const;

export type CertificateKind = keyof typeof CERTIFICATE_TYPE;

/** What a hello says beside its fixed fields. Absent = the extension is not there. */
export interface HelloExtensions {
  readonly serverName?: string | undefined;
  readonly groups?: readonly number[] | undefined;
  readonly pointFormats?: readonly number[] | undefined;
  readonly signatureAlgorithms?: readonly number[] | undefined;
  /** Of a client: what it can use, its favourite first. Of a server: its choice, alone. Numbers of `CERTIFICATE_TYPE`. */
  readonly clientCertificateTypes?: readonly number[] | undefined;
  readonly serverCertificateTypes?: readonly number[] | undefined;
  readonly encryptThenMac?: boolean | undefined;
  readonly extendedMasterSecret?: boolean | undefined;
  /** What the other side is to put into its records; empty = nothing, but it may tell us what to put into ours. */
  readonly connectionId?: Uint8Array | undefined;
  /** The `renegotiated_connection` of RFC 5746: empty in a first handshake. */
  readonly renegotiationInfo?: Uint8Array | undefined;
}

/** @param from Whose hello: certificate types are a list in one and a single value in the other. */
export function encodeExtensions(extensions: HelloExtensions, from: "client" | "server"): Uint8Array {
  const parts: Uint8Array[] = [];
  const add = (type: number, content: Uint8Array): void => void parts.push(uintBytes(type, 2), vector(2, content));
  const list16 = (values: readonly number[]): Uint8Array => vector(2, ...values.map((value) => uintBytes(value, 2)));
  const types = (values: readonly number[]): Uint8Array =>
    from === "client" ? vector(1, Uint8Array.from(values)) : Uint8Array.from(values);
  const { renegotiationInfo, serverName, groups, pointFormats, signatureAlgorithms, connectionId } = extensions;
  if (serverName !== undefined)
    add(EXTENSION.serverName, vector(2, Uint8Array.of(HOST_NAME), vector(2, encodeUtf8(serverName))));
  if (groups) add(EXTENSION.supportedGroups, list16(groups));
  if (pointFormats) add(EXTENSION.pointFormats, vector(1, Uint8Array.from(pointFormats)));
  if (signatureAlgorithms) add(EXTENSION.signatureAlgorithms, list16(signatureAlgorithms));
  if (extensions.clientCertificateTypes) add(EXTENSION.clientCertificateType, types(extensions.clientCertificateTypes));
  if (extensions.serverCertificateTypes) add(EXTENSION.serverCertificateType, types(extensions.serverCertificateTypes));
  if (extensions.encryptThenMac) add(EXTENSION.encryptThenMac, EMPTY);
  if (extensions.extendedMasterSecret) add(EXTENSION.extendedMasterSecret, EMPTY);
  if (connectionId) add(EXTENSION.connectionId, vector(1, connectionId));
  if (renegotiationInfo) add(EXTENSION.renegotiationInfo, vector(1, renegotiationInfo));
  return parts.length === 0 ? EMPTY : vector(2, ...parts);
}

/**
 * What follows the fixed fields of a hello: nothing, or a vector of extensions.
 *
 * @throws {PeerError} `DTLS_FORMAT` also when an extension is there twice (RFC 5246 §7.4.1.4).
 */
export function decodeExtensions(bytes: Uint8Array, from: "client" | "server"): HelloExtensions {
  if (bytes.length === 0) return {};
  const outer = new OctetReader(bytes);
  const contents = new Map<number, Uint8Array>();
  for (const [type, content] of readAll(outer.vector(2), (reader) => [reader.uint(2), reader.vector(2)] as const)) {
    if (contents.has(type)) throw new PeerError("DTLS_FORMAT", "an extension is there twice", { type });
    contents.set(type, content);
  }
  outer.end();
  const read = <T>(type: number, how: (reader: OctetReader) => T): T | undefined => {
    const content = contents.get(type);
    if (content === undefined) return undefined;
    const reader = new OctetReader(content);
    const value = how(reader);
    reader.end();
    return value;
  };
  const list16 = (reader: OctetReader): number[] => readAll(reader.vector(2), (inner) => inner.uint(2));
  const types = (reader: OctetReader): number[] => (from === "client" ? [...reader.vector(1)] : [reader.uint(1)]);
  const flag = (): true => true;
  return {
    serverName: from === "client" ? read(EXTENSION.serverName, readServerName) : undefined,
    groups: read(EXTENSION.supportedGroups, list16),
    pointFormats: read(EXTENSION.pointFormats, (reader) => [...reader.vector(1)]),
    signatureAlgorithms: read(EXTENSION.signatureAlgorithms, list16),
    clientCertificateTypes: read(EXTENSION.clientCertificateType, types),
    serverCertificateTypes: read(EXTENSION.serverCertificateType, types),
    encryptThenMac: read(EXTENSION.encryptThenMac, flag),
    extendedMasterSecret: read(EXTENSION.extendedMasterSecret, flag),
    connectionId: read(EXTENSION.connectionId, (reader) => reader.vector(1)),
    renegotiationInfo: read(EXTENSION.renegotiationInfo, (reader) => reader.vector(1)),
  };
}

function readServerName(reader: OctetReader): string | undefined {
  const names = readAll(reader.vector(2), (inner) => [inner.uint(1), inner.vector(2)] as const);
  const name = names.find(([type]) => type === HOST_NAME)?.[1];
  return name && decodeUtf8(name);
}

/** What a client says of the curves and signatures it can do: one of each, as few as there are. */
export const CURVE_EXTENSIONS: HelloExtensions = {
  groups: [GROUP_P256],
  pointFormats: [UNCOMPRESSED],
  signatureAlgorithms: [SIGNATURE_ECDSA_SHA256],
};
