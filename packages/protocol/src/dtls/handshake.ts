/**
 * What both halves of a handshake share: retransmission, records before and after the keys, and giving up.
 *
 * Until Finished nothing a peer says is proven. A reason to give up that anybody could have forged (a plain alert, a
 * malformed message, an unreadable record) is a suspicion: it counts only when the handshake does not go on meanwhile.
 */
import { EMPTY } from "../lib/bytes.ts";
import type { Core } from "../lib/core.ts";
import { BugError, PeerError } from "../lib/errors.ts";
import { type Alert, alertWords, decodeAlert, encodeAlert } from "./alerts.ts";
import type { Hmac } from "./crypto-port.ts";
import { encodeHandshake, HANDSHAKE_TYPE, type HandshakeMessage } from "./handshake-message.ts";
import type {
  Found,
  HandshakeInput,
  HandshakeOutcome,
  HandshakeOutput,
  HandshakeSettings,
  PeerIdentity,
  Resumable,
  Wanted,
} from "./handshake-types.ts";
import { HandshakeWire } from "./handshake-wire.ts";
import { keyBlock, keysOf, type Side, verifyData } from "./key-schedule.ts";
import { Patience } from "./patience.ts";
import { createProtection, PROTECTED_EPOCH } from "./protection.ts";
import { HandshakeRefusal, REASONS, type Reason } from "./reasons.ts";
import { CONTENT_TYPE, type DtlsRecord } from "./record.ts";
import { isFresh } from "./replay-window.ts";
import type { CipherSuite } from "./suites.ts";

/** Protected records that came before their keys, and application data before the end: so many octets are kept of each. */
const MAX_HELD_BYTES = 4_096;

/** A flight that stays unanswered so often may be too large for a link on the way. @see RFC 6347 §4.1.1.1 */
const LARGE_TRIES = 2;

export interface HandshakeStart {
  readonly messageNumber: number;
  readonly recordSequence: number;
  /** What the peer is to put into its records; `undefined` = no Connection IDs at all. */
  readonly ownConnectionId: Uint8Array | undefined;
}

export abstract class Handshake implements Core<HandshakeInput, HandshakeOutput> {
  readonly ownConnectionId: Uint8Array | undefined;
  protected readonly settings: HandshakeSettings;
  protected readonly wire: HandshakeWire;
  protected readonly side: Side;
  protected suite: CipherSuite | undefined;
  protected master: Uint8Array | undefined;
  protected identity: PeerIdentity | undefined;
  protected hasExtendedMasterSecret = false;
  /** What goes into our records once they are protected; `undefined` = Connection IDs were not negotiated. */
  protected peerConnectionId: Uint8Array | undefined;
  protected clientRandom: Uint8Array | undefined;
  protected serverRandom: Uint8Array | undefined;
  #keys: Uint8Array | undefined;
  #masterHmac: Hmac | undefined;
  #held: DtlsRecord[] = [];
  readonly #early: Uint8Array[] = [];
  #outputs: HandshakeOutput[] = [];
  readonly #patience: Patience;
  #isOver = false;
  #nowMs = 0;

  constructor(side: Side, settings: HandshakeSettings, start: HandshakeStart) {
    this.side = side;
    this.settings = settings;
    this.ownConnectionId = start.ownConnectionId;
    this.#patience = new Patience(settings.timing);
    const { datagramBytes, reassembly } = settings;
    this.wire = new HandshakeWire({ ...start, datagramBytes, reassembly });
  }

  get wakeAtMs(): number | undefined {
    return this.#patience.wakeAtMs;
  }

  step(input: HandshakeInput, nowMs: number): HandshakeOutput[] {
    this.#nowMs = nowMs;
    if (!this.#isOver) {
      try {
        this.#take(input);
      } catch (error) {
        if (!(error instanceof HandshakeRefusal)) throw error;
        this.#fail(error.reason);
      }
    }
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  /** Our move when the handshake begins. */
  protected abstract start(): void;
  /** The next message in order. Its decoders' `PeerError` is caught here. */
  protected abstract receive(message: HandshakeMessage): void;
  /** The answer to what was asked. */
  protected abstract resolve(found: Found): void;

  /** Looks something up; what comes meanwhile waits. */
  protected ask(wanted: Wanted): void {
    this.#patience.ask(this.#nowMs);
    this.#outputs.push({ kind: "ask", wanted });
  }

  /** Sends the flight that was said, and again until it is answered. */
  protected sendFlight(): void {
    this.#patience.begin(this.#nowMs);
    this.#transmit();
  }

  /** Both directions' keys from now on; what was held for them is read after the present message. */
  protected deriveKeys(): void {
    const { suite, master, clientRandom, serverRandom } = this;
    if (!suite || !master || !clientRandom || !serverRandom)
      throw new BugError("DTLS_ORDER", "keys before their secret");
    const { crypto } = this.settings;
    this.#masterHmac = crypto.createHmac(master);
    const keys = keyBlock(this.#masterHmac, suite, { clientRandom, serverRandom });
    const other = this.side === "client" ? "server" : "client";
    const connectionId = this.peerConnectionId ?? EMPTY;
    this.#keys = keys;
    this.wire.write = { protection: createProtection(crypto, suite, keysOf(keys, suite, this.side)), connectionId };
    this.wire.read = createProtection(crypto, suite, keysOf(keys, suite, other));
  }

  /** ChangeCipherSpec and Finished at the end of the present flight; Finished as one fragment. */
  protected sayFinished(): Uint8Array {
    this.wire.sayChangeCipherSpec();
    const proof = this.#proofOf(this.side, this.wire.transcript);
    return this.wire.say(HANDSHAKE_TYPE.finished, proof);
  }

  /** @param transcript Up to the Finished message that is checked. */
  protected checkFinished(message: HandshakeMessage, transcript: readonly Uint8Array[]): void {
    const other = this.side === "client" ? "server" : "client";
    const expected = this.#proofOf(other, transcript);
    if (message.body.length !== expected.length || !this.settings.crypto.equalSecrets(message.body, expected))
      throw new HandshakeRefusal("FINISHED_WRONG");
  }

  /** The end. @param finished Our Finished, when we had the last word. */
  protected finish(sessionId: Uint8Array, isResumed: boolean, finished: Uint8Array | undefined): void {
    const { wire, suite, master, identity, hasExtendedMasterSecret } = this;
    if (!suite || !master || !identity || !this.#keys) throw new BugError("DTLS_ORDER", "opened before the end");
    const hasIds = this.peerConnectionId !== undefined;
    const outcome: HandshakeOutcome = {
      resumable: { sessionId, master, suite, hasExtendedMasterSecret, identity } satisfies Resumable,
      isResumed,
      keys: this.#keys,
      protections: wire.write && wire.read && { write: wire.write.protection, read: wire.read },
      ownConnectionId: (hasIds ? this.ownConnectionId : undefined) ?? EMPTY,
      peerConnectionId: this.peerConnectionId ?? EMPTY,
      writeSequence: wire.writeSequence,
      window: wire.window,
      lastFlight: finished && { finished, answers: wire.answered, plainSequence: wire.plainSequence },
      early: this.#early,
    };
    this.#end();
    this.#outputs.push({ kind: "opened", outcome });
  }

  #proofOf(side: Side, transcript: readonly Uint8Array[]): Uint8Array {
    if (this.#masterHmac === undefined) throw new BugError("DTLS_ORDER", "Finished before its keys");
    return verifyData(this.#masterHmac, side, this.settings.crypto.sha256(transcript));
  }

  #take(input: HandshakeInput): void {
    switch (input.kind) {
      case "start":
        this.start();
        break;
      case "record":
        this.#receiveRecord(input.record);
        break;
      case "found":
        this.#receiveAnswer(input.found);
        break;
      case "wake":
        this.#wake();
        break;
    }
  }

  #receiveAnswer(found: Found): void {
    if (!this.#patience.isAsking) return;
    this.#patience.answered(this.#nowMs);
    if (found.kind === "failed") throw new HandshakeRefusal("LOOK_UP_FAILED");
    this.resolve(found);
    this.#drain();
    this.#readHeld();
  }

  #receiveRecord(record: DtlsRecord): void {
    const { type, epoch, fragment } = record;
    if (epoch === PROTECTED_EPOCH) this.#receiveProtected(record);
    else if (epoch !== 0) return;
    else if (type === CONTENT_TYPE.handshake) this.#takeFragments(fragment, 0);
    else if (type === CONTENT_TYPE.alert) {
      const alert = decodeAlert(fragment);
      if (alert && isEnd(alert)) this.#patience.suspect(refusedWith(alert), this.#nowMs);
    }
  }

  #receiveProtected(record: DtlsRecord): void {
    const { wire } = this;
    if (wire.read === undefined) {
      if (
        hasRoomFor(
          record.fragment,
          this.#held.map(({ fragment }) => fragment),
        )
      )
        this.#held.push({ ...record, fragment: record.fragment.slice() });
      return;
    }
    if (!isFresh(wire.window, record.sequence)) return;
    const content = wire.read.open(record);
    if (content === undefined) {
      if (record.type !== CONTENT_TYPE.applicationData) this.#patience.suspect(this.#unreadable(), this.#nowMs);
      return;
    }
    wire.noteRecord(record.sequence);
    if (content.type === CONTENT_TYPE.handshake) this.#takeFragments(content.bytes, PROTECTED_EPOCH);
    else if (content.type === CONTENT_TYPE.applicationData) {
      if (hasRoomFor(content.bytes, this.#early)) this.#early.push(content.bytes);
    } else if (content.type === CONTENT_TYPE.alert) {
      const alert = decodeAlert(content.bytes);
      if (alert && isEnd(alert)) this.#fail(refusedWith(alert), false);
    }
  }

  /** What it means that the peer's protected records cannot be read. */
  #unreadable(): Reason {
    if (this.suite?.keyExchange === "ecdheEcdsa") return { code: "RECORD_UNREADABLE", facts: {} };
    return { code: "PSK_KEY_WRONG", facts: { identity: this.identity?.name } };
  }

  #takeFragments(content: Uint8Array, epoch: number): void {
    try {
      if (this.wire.take(content, epoch) && !this.#patience.isAsking) this.#transmit();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#patience.suspect({ code: "MESSAGE_MALFORMED", facts: { what: error.message } }, this.#nowMs);
    }
    this.#drain();
  }

  #drain(): void {
    while (!this.#patience.isAsking && !this.#isOver) {
      const message = this.wire.incoming.take();
      if (message === undefined) break;
      if (message.type === HANDSHAKE_TYPE.helloRequest) continue;
      const before = this.wire.transcript;
      // A hello that was answered with a cookie, and the cookie itself, belong to no transcript (RFC 6347 §4.2.1).
      if (message.type !== HANDSHAKE_TYPE.helloVerifyRequest)
        this.wire.transcript = [...before, encodeHandshake(message)];
      this.#patience.trust();
      try {
        this.receive(message);
      } catch (error) {
        if (error instanceof HandshakeRefusal || !(error instanceof PeerError)) throw error;
        throw new HandshakeRefusal("MESSAGE_MALFORMED", { message: message.type, what: error.message });
      }
      this.#readHeld();
    }
  }

  #readHeld(): void {
    if (this.wire.read === undefined || this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const record of held) if (!this.#isOver) this.#receiveProtected(record);
  }

  #wake(): void {
    const due = this.#patience.take(this.#nowMs);
    if (due === "retransmit") {
      if (this.#patience.retransmissionCount >= LARGE_TRIES) this.wire.makeSmall();
      this.#transmit();
    } else if (due === "lookUpFailed") this.#fail({ code: "LOOK_UP_FAILED", facts: {} });
    else if (due === "noAnswer") this.#fail(this.#silence());
    else if (due) this.#fail(due);
  }

  /** What it means that the peer says nothing more. */
  #silence(): Reason {
    const { side, wire, identity } = this;
    if (side === "client" && wire.incoming.next === 0) return { code: "NO_SERVER", facts: {} };
    const isProofSent = side === "client" && wire.hasChangedCipher && identity?.kind === "psk";
    return isProofSent
      ? { code: "NO_ANSWER_TO_PROOF", facts: { identity: identity.name } }
      : { code: "NO_ANSWER", facts: {} };
  }

  #transmit(): void {
    for (const datagram of this.wire.flightDatagrams()) this.#outputs.push({ kind: "send", datagram });
  }

  #fail(reason: Reason, tellPeer = true): void {
    const { alert } = REASONS[reason.code];
    if (alert && tellPeer) {
      const datagram = this.wire.record(CONTENT_TYPE.alert, encodeAlert(alert), this.wire.hasChangedCipher);
      this.#outputs.push({ kind: "send", datagram });
    }
    this.#end();
    this.#outputs.push({ kind: "failed", reason });
  }

  #end(): void {
    this.#isOver = true;
    this.#patience.end();
    this.#held = [];
  }
}

const hasRoomFor = (bytes: Uint8Array, held: readonly Uint8Array[]): boolean =>
  held.reduce((sum, { length }) => sum + length, bytes.length) <= MAX_HELD_BYTES;

const isEnd = ({ isFatal, description }: Alert): boolean => isFatal || description === 0;

const refusedWith = ({ description }: Alert): Reason => ({
  code: "PEER_REFUSED",
  facts: { alert: alertWords(description) },
});
