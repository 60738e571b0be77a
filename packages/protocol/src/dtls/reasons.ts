/** Why a handshake failed or a session ended: a code for programs, an alert for the peer, a line for the operator. */
import { type Facts, PeerError } from "../lib/errors.ts";
import type { AlertName } from "./alerts.ts";

interface ReasonText {
  /** What the peer is told; `undefined` = nothing. */
  readonly alert: AlertName | undefined;
  /** One line. `{name}` stands for a fact. */
  readonly why: string;
}

const reason = (alert: AlertName | undefined, why: string): ReasonText => ({ alert, why });

/** All reasons by their stable code. None of the lines ever holds a key. */
export const REASONS = {
  PSK_IDENTITY_UNKNOWN: reason("unknownPskIdentity", 'no key is known for the PSK identity "{identity}"'),
  PSK_KEY_WRONG: reason("decryptError", 'the peer\'s key for PSK identity "{identity}" is not the one known here'),
  SUITES_DIFFER: reason(
    "handshakeFailure",
    "no cipher suite in common: the peer offers {offered}, and there are credentials here for {accepted}",
  ),
  VERSION_OLD: reason("protocolVersion", "the peer does not speak DTLS 1.2 (it offers {version})"),
  EXTENDED_MASTER_SECRET_MISSING: reason(
    "handshakeFailure",
    "the peer does not offer the Extended Master Secret, which is required here",
  ),
  CERTIFICATE_MISSING: reason("handshakeFailure", "the peer sent no certificate, and one is required here"),
  CERTIFICATE_MALFORMED: reason("badCertificate", "the peer's certificate cannot be read"),
  CERTIFICATE_KIND: reason("unsupportedCertificate", "the peer's key or certificate is of a kind not accepted here"),
  CERTIFICATE_UNTRUSTED: reason("unknownCa", 'the certificate of "{name}" was not issued by an authority trusted here'),
  CERTIFICATE_EXPIRED: reason("certificateExpired", 'the certificate of "{name}" expired on {until}'),
  CERTIFICATE_EARLY: reason(
    "certificateExpired",
    'the certificate of "{name}" is valid only from {from} on: one of the clocks is wrong',
  ),
  CERTIFICATE_NAME: reason("certificateUnknown", 'the certificate is for "{name}", not for "{expected}"'),
  RAW_KEY_UNKNOWN: reason("certificateUnknown", "the raw public key with SHA-256 {fingerprint} is not known here"),
  SIGNATURE_WRONG: reason("decryptError", "the peer did not prove that it holds the private key of its certificate"),
  FINISHED_WRONG: reason("decryptError", "the handshake was changed on its way: its digest does not agree"),
  RECORD_UNREADABLE: reason("decryptError", "the peer derived other keys: the end of its handshake cannot be read"),
  PARAMETER_ILLEGAL: reason("illegalParameter", "the peer chose what was not offered to it: {what}"),
  MESSAGE_MALFORMED: reason("decodeError", "a handshake message cannot be read"),
  MESSAGE_UNEXPECTED: reason("unexpectedMessage", "a handshake message ({message}) came where it has no place"),
  RESUMPTION_WEAKER: reason(
    "handshakeFailure",
    "the peer wants to resume a session without the Extended Master Secret it was made with",
  ),
  LOOK_UP_FAILED: reason("internalError", "the credential could not be looked up"),
  NO_ANSWER: reason(undefined, "the peer stopped answering during the handshake"),
  NO_ANSWER_TO_PROOF: reason(
    undefined,
    'the server does not answer the proof for PSK identity "{identity}": most likely it knows another key for it',
  ),
  NO_SERVER: reason(undefined, "nobody answers at the server's address"),
  PEER_REFUSED: reason(undefined, "the peer refused the handshake: {alert}"),
  CROWDED_OUT: reason(undefined, "too many handshakes at once: the oldest made room"),
  CLOSED_BY_PEER: reason(undefined, "the peer closed the session"),
  CLOSED_HERE: reason("closeNotify", "the session was closed here"),
  ENDED_BY_ALERT: reason(undefined, "the peer ended the session: {alert}"),
  REPLACED: reason(undefined, "a newer session with the same peer took its place"),
  IDLE: reason("closeNotify", "nothing was heard from the peer for too long"),
  EVICTED: reason("closeNotify", "the table of sessions is full: the one silent longest made room"),
  REVOKED: reason("accessDenied", "the peer's credential was withdrawn"),
} as const satisfies Readonly<Record<string, ReasonText>>;

export type ReasonCode = keyof typeof REASONS;

/** A reason with what it is about. */
export interface Reason {
  readonly code: ReasonCode;
  readonly facts: Facts;
}

/** A handshake cannot go on. Its `code` is a `ReasonCode`. */
export class HandshakeRefusal extends PeerError {
  readonly reason: Reason;

  constructor(code: ReasonCode, facts: Facts = {}) {
    super(code, explain({ code, facts }), facts);
    this.reason = { code, facts };
  }
}

/** The line for the operator. What a peer sent appears in it without control characters, at most 128 characters long. */
export function explain({ code, facts }: Reason): string {
  return REASONS[code].why.replace(/\{(\w+)\}/g, (_, fact: string) => printable(facts[fact]));
}

function printable(value: unknown): string {
  const text = value === undefined ? "unknown" : String(value);
  const clean = text.replace(/[^\P{C}]|\p{Zl}|\p{Zp}/gu, "\u{fffd}");
  return clean.length > 128 ? `${clean.slice(0, 127)}…` : clean;
}
