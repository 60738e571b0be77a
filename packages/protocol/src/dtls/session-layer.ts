/** The established half of an endpoint: records in and out of sessions, their end, and their way over a restart. */

import { PeerError } from "../lib/errors.ts";
import { ALERT, alertWords, decodeAlert, encodeAlert } from "./alerts.ts";
import type { DtlsCrypto } from "./crypto-port.ts";
import type { DtlsInput, DtlsOutput } from "./endpoint-types.ts";
import { decodeFragments, HANDSHAKE_TYPE } from "./handshake-message.ts";
import { isWithdrawn, type Withdrawn } from "./handshake-types.ts";
import { REASONS, type Reason } from "./reasons.ts";
import { CONTENT_TYPE, type DtlsRecord } from "./record.ts";
import { RESUMPTION_LIFETIME_MS, type ResumptionCache, resumptionKey } from "./resumption-cache.ts";
import type { DtlsAddress, DtlsSession } from "./session.ts";
import { type SessionLimits, SessionTable } from "./session-table.ts";
import { type DtlsSnapshot, sessionFrom, snapshotOf } from "./snapshot.ts";

/** How long Finished can be asked for again: twice the longest life of a datagram. @see RFC 6347 §4.2.4 */
const LAST_FLIGHT_MS = 240_000;

type SessionInput<A extends DtlsAddress> = Extract<DtlsInput<A>, { readonly kind: "send" | "close" | "revoke" }>;

export class SessionLayer<A extends DtlsAddress> {
  readonly sessions: SessionTable<A>;
  readonly #resumption: ResumptionCache;
  /** Sessions that can still repeat their last flight, with the end of that; the earliest first. */
  readonly #finishing = new Map<DtlsSession<A>, number>();
  #outputs: DtlsOutput<A>[] = [];

  constructor(limits: SessionLimits, crypto: DtlsCrypto, resumption: ResumptionCache) {
    this.sessions = new SessionTable(limits, crypto);
    this.#resumption = resumption;
  }

  get wakeAtMs(): number | undefined {
    const idleMs = this.sessions.wakeAtMs;
    const finishingMs = this.#finishing.size === 0 ? undefined : this.#finishing.values().next().value;
    return finishingMs === undefined || (idleMs !== undefined && idleMs < finishingMs) ? idleMs : finishingMs;
  }

  /** The outputs since the last call. */
  takeOutputs(): DtlsOutput<A>[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  step(input: SessionInput<A>, nowMs: number): void {
    switch (input.kind) {
      case "send":
        if (this.sessions.has(input.session))
          this.#send(input.session, CONTENT_TYPE.applicationData, input.bytes, nowMs);
        break;
      case "close":
        this.#end(input.session, { code: "CLOSED_HERE", facts: {} });
        break;
      case "revoke":
        this.#resumption.forget(input.identity);
        for (const session of this.#withdrawn(input.identity)) this.#end(session, { code: "REVOKED", facts: {} });
        break;
    }
  }

  open(session: DtlsSession<A>, nowMs: number): void {
    if (!session.isResumed) this.#rememberForResumption(session, nowMs);
    for (const { session: old, code } of this.sessions.add(session)) this.#ended(old, { code, facts: {} });
    if (session.lastFlight) this.#finishing.set(session, nowMs + LAST_FLIGHT_MS);
    this.#outputs.push({ kind: "opened", session });
  }

  deliver(session: DtlsSession<A>, bytes: Uint8Array): void {
    this.#outputs.push({ kind: "received", session, bytes });
  }

  /** Whether the record was the session's. Nothing changes when it was not. */
  receive(session: DtlsSession<A>, address: A, record: DtlsRecord, nowMs: number): boolean {
    this.sessions.warm(session);
    const opened = session.open(record);
    if (opened === undefined) return false;
    const { content, isNewest } = opened;
    this.sessions.touch(session, nowMs);
    if (isNewest && session.hasConnectionId && session.address.key !== address.key) {
      const from = session.address;
      session.address = address;
      this.#outputs.push({ kind: "moved", session, from });
    }
    if (content.type === CONTENT_TYPE.applicationData) {
      // Whoever sends data has our Finished.
      if (session.lastFlight) this.#forgetLastFlight(session);
      this.deliver(session, content.bytes);
    } else if (content.type === CONTENT_TYPE.alert) this.#receiveAlert(session, content.bytes);
    else if (content.type === CONTENT_TYPE.handshake) this.#receiveHandshake(session, content.bytes, nowMs);
    return true;
  }

  wake(nowMs: number): void {
    for (let idle = this.sessions.takeIdle(nowMs); idle; idle = this.sessions.takeIdle(nowMs))
      this.#ended(idle, { code: "IDLE", facts: {} });
    for (const [session, untilMs] of this.#finishing) {
      if (untilMs > nowMs) return;
      this.#forgetLastFlight(session);
    }
  }

  exportSessions(nowMs: number): DtlsSnapshot<A> {
    return { version: 1, sessions: Array.from(this.sessions.all(), (session) => snapshotOf(session, nowMs)) };
  }

  importSessions(snapshot: DtlsSnapshot<A>, nowMs: number): void {
    for (const entry of snapshot.sessions) {
      const session = sessionFrom(entry, nowMs);
      this.sessions.add(session);
      this.#rememberForResumption(session, nowMs);
    }
  }

  #withdrawn(withdrawn: Withdrawn): readonly DtlsSession<A>[] {
    const { kind, name } = withdrawn;
    const sessions = name === undefined ? [...this.sessions.all()] : this.sessions.ofIdentity({ kind, name });
    return sessions.filter(({ identity }) => isWithdrawn(identity, withdrawn));
  }

  #send(session: DtlsSession<A>, type: number, bytes: Uint8Array, nowMs: number): void {
    this.sessions.warm(session);
    const datagram = session.seal(type, bytes);
    if (datagram) this.#outputs.push({ kind: "send", address: session.address, datagram, session });
    else this.#end(session, { code: "IDLE", facts: {} });
    void nowMs;
  }

  #receiveAlert(session: DtlsSession<A>, bytes: Uint8Array): void {
    const alert = decodeAlert(bytes);
    if (alert === undefined) return;
    if (alert.description === ALERT.closeNotify) this.#end(session, { code: "CLOSED_BY_PEER", facts: {} });
    else if (alert.isFatal) {
      this.#resumption.delete(resumptionName(session));
      this.#end(session, { code: "ENDED_BY_ALERT", facts: { alert: alertWords(alert.description) } });
    }
  }

  /** Finished again: our last flight was lost. A hello: the peer wants to renegotiate, which is refused. */
  #receiveHandshake(session: DtlsSession<A>, content: Uint8Array, nowMs: number): void {
    const fragment = firstFragment(content);
    if (fragment === undefined) return;
    const { type, number } = fragment;
    if (type === HANDSHAKE_TYPE.finished && number === session.lastFlight?.answers) {
      const datagram = session.repeatLastFlight();
      if (datagram) this.#outputs.push({ kind: "send", address: session.address, datagram, session });
    } else if (type === HANDSHAKE_TYPE.clientHello || type === HANDSHAKE_TYPE.helloRequest)
      this.#send(session, CONTENT_TYPE.alert, encodeAlert("noRenegotiation"), nowMs);
  }

  #end(session: DtlsSession<A>, reason: Reason): void {
    if (!this.sessions.has(session)) return;
    this.sessions.warm(session);
    this.sessions.remove(session);
    this.#ended(session, reason);
  }

  /** Says farewell for a session that is out of the table already. */
  #ended(session: DtlsSession<A>, reason: Reason): void {
    this.#finishing.delete(session);
    const { alert } = REASONS[reason.code];
    const farewell = reason.code === "CLOSED_BY_PEER" ? "closeNotify" : alert;
    if (farewell) {
      const datagram = session.isWarm ? session.seal(CONTENT_TYPE.alert, encodeAlert(farewell)) : undefined;
      if (datagram) this.#outputs.push({ kind: "send", address: session.address, datagram, session });
    }
    session.cool();
    this.#outputs.push({ kind: "closed", session, reason });
  }

  #forgetLastFlight(session: DtlsSession<A>): void {
    session.lastFlight = undefined;
    this.#finishing.delete(session);
  }

  #rememberForResumption(session: DtlsSession<A>, nowMs: number): void {
    if (session.resumable.sessionId.length > 0)
      this.#resumption.add(resumptionName(session), session.resumable, nowMs + RESUMPTION_LIFETIME_MS);
  }
}

/** A client knows a session by its server, a server by the session id. */
function resumptionName<A extends DtlsAddress>({ side, address, resumable }: DtlsSession<A>): string {
  return side === "client" ? address.key : resumptionKey(resumable.sessionId);
}

function firstFragment(content: Uint8Array): { readonly type: number; readonly number: number } | undefined {
  try {
    return decodeFragments(content)[0];
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}
