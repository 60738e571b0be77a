/** What a server makes of a ClientHello: pure, from the hello, the credentials and the settings. */
import type { Certificate, SigningKey } from "./crypto-port.ts";
import {
  CERTIFICATE_TYPE,
  type CertificateKind,
  GROUP_P256,
  type HelloExtensions,
  SIGNATURE_ECDSA_SHA256,
} from "./extensions.ts";
import type { HandshakeSettings, Resumable } from "./handshake-types.ts";
import { type ClientHello, RENEGOTIATION_SCSV } from "./hello.ts";
import { HandshakeRefusal } from "./reasons.ts";
import { VERSION_1_2 } from "./record.ts";
import { type CipherSuite, suiteById } from "./suites.ts";

/** What a server has to show and whom it believes. */
export interface ServerCredentials {
  /** Whether pre-shared keys can be looked up. */
  readonly hasPsk: boolean;
  /** Our own chain (DER, our certificate first) and its key. */
  readonly x509?: { readonly chain: readonly Uint8Array[]; readonly key: SigningKey } | undefined;
  /** Our own raw public key. */
  readonly rpk?: SigningKey | undefined;
  /** How clients may prove who they are, the favourite first. Empty: clients with ECDHE_ECDSA stay anonymous. */
  readonly clientKinds: readonly CertificateKind[];
  /** Authorities for the certificates of clients. */
  readonly anchors: readonly Certificate[];
}

export interface ServerChoice {
  readonly suite: CipherSuite;
  readonly hasExtendedMasterSecret: boolean;
  readonly resumable: Resumable | undefined;
  /** `undefined`: no certificates. */
  readonly serverKind: CertificateKind | undefined;
  /** `undefined`: the client is not asked for one. */
  readonly clientKind: CertificateKind | undefined;
}

/**
 * @param resumable The session that the client names, if we still have it.
 * @throws {HandshakeRefusal}
 */
export function chooseForClient(
  hello: ClientHello,
  settings: Pick<HandshakeSettings, "suites" | "requireExtendedMasterSecret">,
  credentials: ServerCredentials,
  resumable: Resumable | undefined,
): ServerChoice {
  const { extensions } = hello;
  // Versions of DTLS count downwards.
  if (hello.version > VERSION_1_2) throw new HandshakeRefusal("VERSION_OLD", { version: "DTLS 1.0" });
  if (extensions.renegotiationInfo && extensions.renegotiationInfo.length > 0)
    throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "a renegotiation" });
  const hasExtendedMasterSecret = extensions.extendedMasterSecret === true;
  if (settings.requireExtendedMasterSecret && !hasExtendedMasterSecret)
    throw new HandshakeRefusal("EXTENDED_MASTER_SECRET_MISSING");
  if (resumable?.hasExtendedMasterSecret && !hasExtendedMasterSecret) throw new HandshakeRefusal("RESUMPTION_WEAKER");
  const isOffered = (suite: CipherSuite): boolean => hello.suites.includes(suite.id) && settings.suites.includes(suite);
  const noKinds = { serverKind: undefined, clientKind: undefined };
  if (resumable && isOffered(resumable.suite) && resumable.hasExtendedMasterSecret === hasExtendedMasterSecret)
    return { suite: resumable.suite, hasExtendedMasterSecret, resumable, ...noKinds };
  const serverKind = serverKindFor(extensions, credentials);
  const suite = hello.suites
    .map(suiteById)
    .find((candidate) => candidate && isOffered(candidate) && isUsable(candidate, hello, credentials));
  if (suite === undefined) throw suitesDiffer(hello, settings.suites, credentials);
  if (suite.keyExchange !== "ecdheEcdsa") return { suite, hasExtendedMasterSecret, resumable: undefined, ...noKinds };
  const clientKind = clientKindFor(extensions, credentials);
  return { suite, hasExtendedMasterSecret, resumable: undefined, serverKind, clientKind };
}

function isUsable(suite: CipherSuite, hello: ClientHello, credentials: ServerCredentials): boolean {
  const { extensions } = hello;
  if (suite.protection === "cbc" && !extensions.encryptThenMac) return false;
  const hasCurve = extensions.groups === undefined || extensions.groups.includes(GROUP_P256);
  switch (suite.keyExchange) {
    case "psk":
      return credentials.hasPsk;
    case "ecdhePsk":
      return credentials.hasPsk && hasCurve;
    case "ecdheEcdsa":
      return (
        hasCurve &&
        serverKindFor(extensions, credentials) !== undefined &&
        extensions.signatureAlgorithms?.includes(SIGNATURE_ECDSA_SHA256) === true
      );
  }
}

/** The client's first choice among what we have; without a list it can do X.509 alone. @see RFC 7250 §4.2 */
function serverKindFor({ serverCertificateTypes }: HelloExtensions, { x509, rpk }: ServerCredentials) {
  const has = { x509: x509 !== undefined, rpk: rpk !== undefined };
  return firstKind(serverCertificateTypes, (kind) => has[kind]);
}

/** @throws {HandshakeRefusal} `CERTIFICATE_KIND` when we need a certificate of a kind that the client does not have. */
function clientKindFor({ clientCertificateTypes }: HelloExtensions, { clientKinds }: ServerCredentials) {
  if (clientKinds.length === 0) return undefined;
  const kind = firstKind(clientCertificateTypes, (candidate) => clientKinds.includes(candidate));
  if (kind === undefined) throw new HandshakeRefusal("CERTIFICATE_KIND");
  return kind;
}

function firstKind(
  types: readonly number[] = [CERTIFICATE_TYPE.x509],
  isWanted: (kind: CertificateKind) => boolean,
): CertificateKind | undefined {
  for (const type of types) {
    const kind = (Object.keys(CERTIFICATE_TYPE) as CertificateKind[]).find((name) => CERTIFICATE_TYPE[name] === type);
    if (kind && isWanted(kind)) return kind;
  }
  return undefined;
}

function suitesDiffer(
  hello: ClientHello,
  suites: readonly CipherSuite[],
  credentials: ServerCredentials,
): HandshakeRefusal {
  const wordOf = (id: number): string => suiteById(id)?.name ?? `0x${id.toString(16).padStart(4, "0")}`;
  const hasOwn = credentials.x509 !== undefined || credentials.rpk !== undefined;
  const accepted = suites
    .filter(({ keyExchange }) => (keyExchange === "ecdheEcdsa" ? hasOwn : credentials.hasPsk))
    .map(({ name }) => name);
  const offered = hello.suites.filter((id) => id !== RENEGOTIATION_SCSV).slice(0, 4);
  return new HandshakeRefusal("SUITES_DIFFER", {
    offered: offered.map(wordOf).join(" ") || "none",
    accepted: accepted.join(" ") || "none",
  });
}

/** The extensions of our hello: only what the client offered (RFC 5246 §7.4.1.4). */
export function helloAnswer(
  { extensions, suites }: ClientHello,
  choice: ServerChoice,
  ownConnectionId: Uint8Array | undefined,
): HelloExtensions {
  const isSecured = extensions.renegotiationInfo !== undefined || suites.includes(RENEGOTIATION_SCSV);
  const typeOf = (kind: CertificateKind | undefined): number[] | undefined => kind && [CERTIFICATE_TYPE[kind]];
  const hasCurves = choice.suite.keyExchange !== "psk" && choice.resumable === undefined;
  return {
    renegotiationInfo: isSecured ? new Uint8Array(0) : undefined,
    extendedMasterSecret: choice.hasExtendedMasterSecret,
    encryptThenMac: choice.suite.protection === "cbc",
    serverCertificateTypes: extensions.serverCertificateTypes && typeOf(choice.serverKind),
    clientCertificateTypes: extensions.clientCertificateTypes && typeOf(choice.clientKind),
    pointFormats: extensions.pointFormats && hasCurves ? [0] : undefined,
    connectionId: extensions.connectionId && ownConnectionId,
  };
}
