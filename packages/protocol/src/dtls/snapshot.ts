/** Established sessions as plain values, so that a restart keeps every one. They hold keys: guard them as such. */
import { fromHex, toHex } from "../lib/bytes.ts";
import { UsageError } from "../lib/errors.ts";
import type { PeerIdentity } from "./handshake-types.ts";
import type { Side } from "./key-schedule.ts";
import { type DtlsAddress, DtlsSession } from "./session.ts";
import { suiteByName } from "./suites.ts";

/** Everything in it can be written as JSON, if addresses can. */
export interface DtlsSnapshot<A extends DtlsAddress> {
  readonly version: 1;
  /** From the most silent to the last heard. */
  readonly sessions: readonly SessionSnapshot<A>[];
}

/** Octets are hex. */
export interface SessionSnapshot<A extends DtlsAddress> {
  readonly key: string;
  readonly side: Side;
  readonly address: A;
  readonly identity: PeerIdentity;
  readonly suite: string;
  readonly hasExtendedMasterSecret: boolean;
  readonly sessionId: string;
  readonly master: string;
  readonly keys: string;
  readonly ownConnectionId: string;
  readonly peerConnectionId: string;
  readonly writeSequence: number;
  readonly window: readonly [newest: number, recent: number, older: number];
  /** How long it had been silent. */
  readonly silentMs: number;
}

/** Left out after a restart: if a few more records went out than the snapshot knows of, none is numbered like them. */
const SEQUENCE_LEAP = 65_536;

export function snapshotOf<A extends DtlsAddress>(session: DtlsSession<A>, nowMs: number): SessionSnapshot<A> {
  const { resumable, window } = session;
  return {
    key: session.key,
    side: session.side,
    address: session.address,
    identity: resumable.identity,
    suite: resumable.suite.name,
    hasExtendedMasterSecret: resumable.hasExtendedMasterSecret,
    sessionId: toHex(resumable.sessionId),
    master: toHex(resumable.master),
    keys: toHex(session.keys),
    ownConnectionId: toHex(session.ownConnectionId),
    peerConnectionId: toHex(session.peerConnectionId),
    writeSequence: session.writeSequence,
    window: [window.newest, window.recent, window.older],
    silentMs: Math.max(0, nowMs - session.usedAtMs),
  };
}

/** @throws {UsageError} `DTLS_SNAPSHOT` when it was not made by `snapshotOf`. */
export function sessionFrom<A extends DtlsAddress>(snapshot: SessionSnapshot<A>, nowMs: number): DtlsSession<A> {
  const { identity, hasExtendedMasterSecret, writeSequence } = snapshot;
  const suite = suiteByName(snapshot.suite);
  if (suite === undefined || !Number.isSafeInteger(writeSequence)) throw unreadable(snapshot.key);
  const octets = (hex: string): Uint8Array => {
    const bytes = fromHex(hex);
    if (bytes === undefined) throw unreadable(snapshot.key);
    return bytes;
  };
  const [newest, recent, older] = snapshot.window;
  return new DtlsSession({
    key: snapshot.key,
    side: snapshot.side,
    address: snapshot.address,
    usedAtMs: nowMs - snapshot.silentMs,
    outcome: {
      resumable: {
        sessionId: octets(snapshot.sessionId),
        master: octets(snapshot.master),
        suite,
        hasExtendedMasterSecret,
        identity,
      },
      isResumed: false,
      keys: octets(snapshot.keys),
      protections: undefined,
      ownConnectionId: octets(snapshot.ownConnectionId),
      peerConnectionId: octets(snapshot.peerConnectionId),
      writeSequence: writeSequence + SEQUENCE_LEAP,
      window: { newest, recent, older },
      lastFlight: undefined,
    },
  });
}

const unreadable = (key: string): UsageError => new UsageError("DTLS_SNAPSHOT", "a session cannot be read", { key });
