/** What the two sides of one handshake come to agree on, up to the keys and the proof that both have the same. */
import { EMPTY } from "../lib/bytes.ts";
import { BugError } from "../lib/errors.ts";
import { HandshakeKeys } from "./handshake-keys.ts";
import { HANDSHAKE_TYPE, type HandshakeMessage } from "./handshake-message.ts";
import type { HandshakeOutcome, HandshakeSettings, PeerIdentity } from "./handshake-types.ts";
import { HandshakeWire } from "./handshake-wire.ts";
import { extendedMasterSecret, masterSecret, type Side } from "./key-schedule.ts";
import { HandshakeRefusal } from "./reasons.ts";
import type { CipherSuite } from "./suites.ts";

export interface HandshakeStart {
  readonly messageNumber: number;
  readonly recordSequence: number;
  /** What the peer is to put into its records; `undefined` = no Connection IDs at all. */
  readonly ownConnectionId: Uint8Array | undefined;
}

export abstract class HandshakeAgreement {
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
  #keys: HandshakeKeys | undefined;

  constructor(side: Side, settings: HandshakeSettings, start: HandshakeStart) {
    this.side = side;
    this.settings = settings;
    this.ownConnectionId = start.ownConnectionId;
    const { datagramBytes, reassembly } = settings;
    this.wire = new HandshakeWire({ ...start, datagramBytes, reassembly });
  }

  /** Both directions' keys from now on; what was held for them is read after the present message. */
  protected deriveKeys(): void {
    const { suite, master, clientRandom, serverRandom } = this;
    if (!suite || !master || !clientRandom || !serverRandom)
      throw new BugError("DTLS_ORDER", "keys before their secret");
    const keys = new HandshakeKeys(this.settings.crypto, this.side, { suite, master, clientRandom, serverRandom });
    this.#keys = keys;
    this.wire.write = { protection: keys.protections.write, connectionId: this.peerConnectionId ?? EMPTY };
    this.wire.read = keys.protections.read;
  }

  /** The master secret from what both sides now know, and all keys. @param sessionHash See RFC 7627 §3. */
  protected agreeOn(premaster: Uint8Array, sessionHash: Uint8Array): void {
    const { crypto } = this.settings;
    const randoms = [this.clientRandom as Uint8Array, this.serverRandom as Uint8Array];
    this.master = this.hasExtendedMasterSecret
      ? extendedMasterSecret(crypto, premaster, sessionHash)
      : masterSecret(crypto, premaster, randoms);
    this.deriveKeys();
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

  #proofOf(side: Side, transcript: readonly Uint8Array[]): Uint8Array {
    if (this.#keys === undefined) throw new BugError("DTLS_ORDER", "Finished before its keys");
    return this.#keys.proofOf(side, transcript);
  }

  /** What the session is made of. @param finished Our Finished, when we had the last word. */
  protected outcomeOf(
    sessionId: Uint8Array,
    isResumed: boolean,
    finished: Uint8Array | undefined,
  ): Omit<HandshakeOutcome, "early"> {
    const { wire, suite, master, identity, hasExtendedMasterSecret } = this;
    if (!suite || !master || !identity || !this.#keys) throw new BugError("DTLS_ORDER", "opened before the end");
    const hasIds = this.peerConnectionId !== undefined;
    return {
      resumable: { sessionId, master, suite, hasExtendedMasterSecret, identity },
      isResumed,
      keys: this.#keys.block,
      protections: this.#keys.protections,
      ownConnectionId: (hasIds ? this.ownConnectionId : undefined) ?? EMPTY,
      peerConnectionId: this.peerConnectionId ?? EMPTY,
      writeSequence: wire.writeSequence,
      window: wire.window,
      lastFlight: finished && { finished, answers: wire.answered, plainSequence: wire.plainSequence },
    };
  }
}
