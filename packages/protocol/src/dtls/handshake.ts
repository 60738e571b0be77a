/**
 * What both halves of a handshake share: retransmission, records before and after the keys, and giving up.
 *
 * Until Finished nothing a peer says is proven. A reason to give up that anybody could have forged (a plain alert, a
 * malformed message, an unreadable record) is a suspicion: it counts only when the handshake does not go on meanwhile.
 */
import type { Core } from "../lib/core.ts";
import { PeerError } from "../lib/errors.ts";
import { type Alert, alertWords, decodeAlert, encodeAlert } from "./alerts.ts";
import { HandshakeAgreement, type HandshakeStart } from "./handshake-agreement.ts";
import { encodeHandshake, HANDSHAKE_TYPE, type HandshakeMessage } from "./handshake-message.ts";
import type { Found, HandshakeInput, HandshakeOutput, HandshakeSettings, Wanted } from "./handshake-types.ts";
import { HeldBack } from "./held-back.ts";
import type { Side } from "./key-schedule.ts";
import { Patience } from "./patience.ts";
import { PROTECTED_EPOCH } from "./protection.ts";
import { HandshakeRefusal, REASONS, type Reason } from "./reasons.ts";
import { CONTENT_TYPE, type DtlsRecord } from "./record.ts";
import { isFresh } from "./replay-window.ts";

/** A flight that stays unanswered so often may be too large for a link on the way. @see RFC 6347 §4.1.1.1 */
const LARGE_TRIES = 2;

export abstract class Handshake extends HandshakeAgreement implements Core<HandshakeInput, HandshakeOutput> {
  readonly #held = new HeldBack<DtlsRecord>(({ fragment }) => fragment.length);
  readonly #early = new HeldBack<Uint8Array>(({ length }) => length);
  #outputs: HandshakeOutput[] = [];
  readonly #patience: Patience;
  #isOver = false;
  #nowMs = 0;

  constructor(side: Side, settings: HandshakeSettings, start: HandshakeStart) {
    super(side, settings, start);
    this.#patience = new Patience(settings.timing);
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

  /** The end. @param finished Our Finished, when we had the last word. */
  protected finish(sessionId: Uint8Array, isResumed: boolean, finished: Uint8Array | undefined): void {
    const outcome = { ...this.outcomeOf(sessionId, isResumed, finished), early: this.#early.takeAll() };
    this.#end();
    this.#outputs.push({ kind: "opened", outcome });
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
      this.#held.add({ ...record, fragment: record.fragment.slice() });
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
    else if (content.type === CONTENT_TYPE.applicationData) this.#early.add(content.bytes);
    else if (content.type === CONTENT_TYPE.alert) {
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
    if (this.wire.read === undefined) return;
    for (const record of this.#held.takeAll()) if (!this.#isOver) this.#receiveProtected(record);
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
    this.#held.takeAll();
  }
}

const isEnd = ({ isFatal, description }: Alert): boolean => isFatal || description === 0;

const refusedWith = ({ description }: Alert): Reason => ({
  code: "PEER_REFUSED",
  facts: { alert: alertWords(description) },
});
