/**
 * One DTLS endpoint over datagrams, client and server in one (RFC 6347, RFC 9146): many sessions, one socket.
 *
 * What a peer sends never throws past `step`, and nothing of a session changes before a record of it was authenticated.
 * Until a client has returned its cookie nothing at all is kept for it.
 */
import { EMPTY, equalBytes, toHex } from "../lib/bytes.ts";
import type { Core } from "../lib/core.ts";
import { ClientHandshake } from "./client-handshake.ts";
import type { ClientCredentials } from "./client-offer.ts";
import type { DtlsCrypto } from "./crypto-port.ts";
import {
  DEFAULT_DTLS_OPTIONS,
  type DtlsInput,
  type DtlsLoad,
  type DtlsOptions,
  type DtlsOutput,
} from "./endpoint-types.ts";
import { HandshakeTable, type OpenHandshake } from "./handshake-table.ts";
import type { HandshakeInput, HandshakeOutcome, HandshakeSettings } from "./handshake-types.ts";
import { HelloDoor, type Knock } from "./hello-door.ts";
import type { Reason } from "./reasons.ts";
import { CONTENT_TYPE, type DtlsRecord, decodeRecords } from "./record.ts";
import { ResumptionCache, resumptionKey } from "./resumption-cache.ts";
import type { ServerCredentials } from "./server-choice.ts";
import { ServerHandshake } from "./server-handshake.ts";
import { type DtlsAddress, DtlsSession } from "./session.ts";
import { SessionLayer } from "./session-layer.ts";
import { CONNECTION_ID_BYTES } from "./session-table.ts";
import type { DtlsSnapshot } from "./snapshot.ts";

const SESSION_ID_BYTES = 16;
const KEY_BYTES = 8;

export class DtlsEndpoint<A extends DtlsAddress> implements Core<DtlsInput<A>, DtlsOutput<A>> {
  readonly #crypto: DtlsCrypto;
  readonly #options: DtlsOptions;
  readonly #settings: HandshakeSettings;
  #server: ServerCredentials | undefined;
  readonly #layer: SessionLayer<A>;
  readonly #handshakes: HandshakeTable<A>;
  readonly #resumption: ResumptionCache;
  readonly #door: HelloDoor<A> | undefined;
  readonly #ownIdBytes: number;
  #outputs: DtlsOutput<A>[] = [];
  #cookieCount = 0;
  #droppedRecordCount = 0;
  #refusedHandshakeCount = 0;
  #isExported = false;

  constructor(crypto: DtlsCrypto, options: Partial<DtlsOptions> = {}) {
    this.#crypto = crypto;
    this.#options = { ...DEFAULT_DTLS_OPTIONS, ...options };
    this.#settings = { ...this.#options, crypto };
    this.#server = this.#options.server;
    this.#handshakes = new HandshakeTable(this.#options);
    this.#resumption = new ResumptionCache(this.#options.resumable);
    this.#layer = new SessionLayer(this.#options, crypto, this.#resumption);
    this.#door = this.#options.server && new HelloDoor(crypto);
    this.#ownIdBytes = this.#options.connectionIds === "both" ? CONNECTION_ID_BYTES : 0;
  }

  get load(): DtlsLoad {
    return {
      sessions: this.#layer.sessions.size,
      handshakes: this.#handshakes.size,
      resumable: this.#resumption.size,
      droppedRecordCount: this.#droppedRecordCount,
      cookieCount: this.#cookieCount,
      refusedHandshakeCount: this.#refusedHandshakeCount,
    };
  }

  get wakeAtMs(): number | undefined {
    const a = this.#handshakes.wakeAtMs;
    const b = this.#layer.wakeAtMs;
    return a === undefined || (b !== undefined && b < a) ? b : a;
  }

  /** Whether the session is established and not ended. */
  has(session: DtlsSession<A>): boolean {
    return this.#layer.sessions.has(session);
  }

  /** All established sessions, from the most silent to the last heard. */
  sessions(): Iterable<DtlsSession<A>> {
    return this.#layer.sessions.all();
  }

  step(input: DtlsInput<A>, nowMs: number): DtlsOutput<A>[] {
    if (this.#isExported) return [];
    switch (input.kind) {
      case "datagram":
        for (const record of decodeRecords(input.datagram, this.#ownIdBytes))
          this.#receive(input.address, record, nowMs);
        break;
      case "credentials":
        this.#server = input.server;
        break;
      case "connect":
        this.#connect(input.address, input.credentials, nowMs);
        break;
      case "found":
        if (this.#handshakes.has(input.handshake)) this.#feed(input.handshake, input, nowMs);
        break;
      case "wake":
        for (let due = this.#handshakes.takeDue(nowMs); due; due = this.#handshakes.takeDue(nowMs))
          this.#feed(due, { kind: "wake" }, nowMs);
        this.#layer.wake(nowMs);
        break;
      default:
        this.#layer.step(input, nowMs);
    }
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs.length === 0 ? this.#layer.takeOutputs() : [...outputs, ...this.#layer.takeOutputs()];
  }

  /**
   * All sessions, to be taken up by another endpoint with `importSessions`. This endpoint is silent from now on: sequence
   * numbers that were used here and there would give the keys away. What is returned is as secret as keys are.
   */
  exportSessions(nowMs: number): DtlsSnapshot<A> {
    this.#isExported = true;
    return this.#layer.exportSessions(nowMs);
  }

  /**
   * Takes up sessions. A snapshot must never be imported twice.
   *
   * @throws {UsageError} `DTLS_SNAPSHOT`
   */
  importSessions(snapshot: DtlsSnapshot<A>, nowMs: number): void {
    this.#layer.importSessions(snapshot, nowMs);
    this.#layer.takeOutputs();
  }

  #receive(address: A, record: DtlsRecord, nowMs: number): void {
    if (record.epoch === 0) {
      this.#receivePlain(address, record, nowMs);
      return;
    }
    const isById = record.type === CONTENT_TYPE.connectionId;
    const { sessions } = this.#layer;
    const session = isById ? sessions.findByConnectionId(record.connectionId) : sessions.findByAddress(address.key);
    if (session && this.#layer.receive(session, address, record, nowMs)) return;
    const handshake = this.#handshakes.find(address.key);
    if (handshake && (!isById || equalBytes(handshake.core.ownConnectionId ?? EMPTY, record.connectionId)))
      this.#feed(handshake, { kind: "record", record }, nowMs);
    else this.#droppedRecordCount += 1;
  }

  #receivePlain(address: A, record: DtlsRecord, nowMs: number): void {
    const handshake = this.#handshakes.find(address.key);
    const knock = this.#door?.read(record);
    // While we are the client of that address, it is not one of ours: what says so is forged or confused.
    const isForDoor =
      knock && !(handshake && (handshake.core instanceof ClientHandshake || belongsTo(handshake, knock)));
    if (isForDoor) this.#open(address, record, knock, nowMs);
    else if (handshake) this.#feed(handshake, { kind: "record", record }, nowMs);
    else this.#droppedRecordCount += 1;
  }

  #open(address: A, record: DtlsRecord, knock: Knock, nowMs: number): void {
    const server = this.#server;
    if (server === undefined || this.#door === undefined) return;
    if (!this.#door.hasRightCookie(address, knock, nowMs)) {
      this.#cookieCount += 1;
      const datagram = this.#door.askForCookie(address, knock, nowMs);
      this.#outputs.push({ kind: "send", address, datagram, session: undefined });
      return;
    }
    if (!this.#handshakes.hasRoom(address)) {
      this.#refusedHandshakeCount += 1;
      return;
    }
    const { messageNumber, recordSequence, hello } = knock;
    const resumable =
      hello.sessionId.length > 0 ? this.#resumption.find(resumptionKey(hello.sessionId), nowMs) : undefined;
    const core = new ServerHandshake(this.#settings, server, {
      messageNumber,
      recordSequence,
      ownConnectionId: this.#newConnectionId(),
      resumable,
      newSessionId: this.#options.resumable > 0 ? this.#crypto.randomBytes(SESSION_ID_BYTES) : EMPTY,
    });
    this.#begin({ address, core }, { kind: "record", record }, nowMs);
  }

  #connect(address: A, credentials: ClientCredentials, nowMs: number): void {
    if (this.#handshakes.find(address.key)) return;
    const resumable = this.#resumption.find(address.key, nowMs);
    const core = new ClientHandshake(this.#settings, credentials, {
      ownConnectionId: this.#newConnectionId(),
      resumable,
    });
    this.#begin({ address, core }, { kind: "start" }, nowMs);
  }

  #begin(handshake: OpenHandshake<A>, input: HandshakeInput, nowMs: number): void {
    const crowdedOut = this.#handshakes.add(handshake);
    if (crowdedOut) this.#failed(crowdedOut, { code: "CROWDED_OUT", facts: {} });
    this.#feed(handshake, input, nowMs);
  }

  /** Empty = we put the peer's into our records and want none in what we get; `undefined` = no Connection IDs at all. */
  #newConnectionId(): Uint8Array | undefined {
    if (this.#options.connectionIds === "off") return undefined;
    if (this.#ownIdBytes === 0) return EMPTY;
    for (;;) {
      const connectionId = this.#crypto.randomBytes(this.#ownIdBytes);
      if (this.#layer.sessions.findByConnectionId(connectionId) === undefined) return connectionId;
    }
  }

  #feed(handshake: OpenHandshake<A>, input: HandshakeInput, nowMs: number): void {
    const { address, core } = handshake;
    for (const output of core.step(input, nowMs)) {
      if (output.kind === "send")
        this.#outputs.push({ kind: "send", address, datagram: output.datagram, session: undefined });
      else if (output.kind === "ask") this.#outputs.push({ kind: "ask", handshake, wanted: output.wanted });
      else {
        this.#handshakes.remove(handshake);
        if (output.kind === "opened") this.#opened(handshake, output.outcome, nowMs);
        else this.#failed(handshake, output.reason);
      }
    }
    this.#handshakes.schedule(handshake);
  }

  #opened({ address, core }: OpenHandshake<A>, outcome: HandshakeOutcome, nowMs: number): void {
    const side = core instanceof ServerHandshake ? "server" : "client";
    const { early, ...rest } = outcome;
    const key = `dtls ${toHex(this.#crypto.randomBytes(KEY_BYTES))}`;
    const session = new DtlsSession({ key, side, address, usedAtMs: nowMs, outcome: rest });
    this.#layer.open(session, nowMs);
    for (const bytes of early) this.#layer.deliver(session, bytes);
    this.#outputs.push(...this.#layer.takeOutputs());
  }

  #failed({ address, core }: OpenHandshake<A>, reason: Reason): void {
    const side = core instanceof ServerHandshake ? "server" : "client";
    if (side === "client") this.#resumption.delete(address.key);
    this.#outputs.push({ kind: "failed", address, side, reason });
  }
}

/** Whether a hello repeats the one that a handshake began with, so that no new one is to begin. */
function belongsTo<A extends DtlsAddress>({ core }: OpenHandshake<A>, { hello }: Knock): boolean {
  return core instanceof ServerHandshake && core.random !== undefined && equalBytes(core.random, hello.random);
}
