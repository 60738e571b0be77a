/** The server's half of a handshake: performs what `SERVER_HANDSHAKE` says. Begins with a ClientHello whose cookie was right. */
import { concat, decodeUtf8, EMPTY, toHex } from "../lib/bytes.ts";
import { BugError } from "../lib/errors.ts";
import { checkChain } from "./certificate-check.ts";
import type { KeyShare, SigningKey, VerifyingKey } from "./crypto-port.ts";
import { Handshake } from "./handshake.ts";
import type { HandshakeStart } from "./handshake-agreement.ts";
import { HANDSHAKE_TYPE, type HandshakeMessage } from "./handshake-message.ts";
import type { Found, HandshakeSettings, Resumable } from "./handshake-types.ts";
import { type ClientHello, decodeClientHello, encodeServerHello, RANDOM_BYTES } from "./hello.ts";
import {
  decodeCertificate,
  decodeClientKeyExchange,
  decodeSignature,
  encodeCertificate,
  encodeCertificateRequest,
  encodePskShare,
  encodeShare,
  encodeSignedShare,
  type PeerCertificate,
} from "./key-exchange-messages.ts";
import { pskPremaster } from "./key-schedule.ts";
import { HandshakeRefusal } from "./reasons.ts";
import { chooseForClient, helloAnswer, type ServerChoice, type ServerCredentials } from "./server-choice.ts";
import { SERVER_HANDSHAKE, type ServerAction, type ServerEvent, type ServerState } from "./server-machine.ts";

export interface ServerStart extends HandshakeStart {
  /** What is known of the session that the client names in its hello. */
  readonly resumable: Resumable | undefined;
  /** Offered to the client to resume with; empty = not at all. */
  readonly newSessionId: Uint8Array;
}

export class ServerHandshake extends Handshake {
  readonly #credentials: ServerCredentials;
  readonly #start: ServerStart;
  #state: ServerState = "start";
  #message: HandshakeMessage | undefined;
  #found: Found | undefined;
  #hello: ClientHello | undefined;
  #choice: ServerChoice | undefined;
  #share: KeyShare | undefined;
  #clientKey: VerifyingKey | undefined;
  #clientPoint: Uint8Array | undefined;
  #sessionHash: Uint8Array = EMPTY;
  #finished: Uint8Array | undefined;
  readonly #perform: Readonly<Record<ServerAction, () => void>> = {
    answerHello: () => this.#answerHello(),
    answerResumption: () => this.#answerResumption(),
    askForRawKey: () => this.#askForRawKey(),
    checkChain: () => this.#checkChain(),
    noteRawKey: () => this.#noteRawKey(),
    askForPsk: () => this.#askForPsk(),
    agreeWithPsk: () => this.#agreeWithPsk(),
    agreeOnShare: () => this.#agreeOnShare(),
    checkProof: () => this.#checkProof(),
    checkFinished: () => this.checkFinished(this.#current(), this.wire.transcript.slice(0, -1)),
    answerFinished: () => this.#answerFinished(),
    open: () => this.finish(this.#sessionId(), this.#choice?.resumable !== undefined, this.#finished),
  };

  constructor(settings: HandshakeSettings, credentials: ServerCredentials, start: ServerStart) {
    super("server", settings, start);
    this.#credentials = credentials;
    this.#start = start;
  }

  get random(): Uint8Array | undefined {
    return this.clientRandom;
  }

  protected start(): void {
    // The first move is the client's.
  }

  protected receive(message: HandshakeMessage): void {
    this.#message = message;
    this.#advance(this.#eventOf(message));
  }

  protected resolve(found: Found): void {
    this.#found = found;
    this.#advance(found.kind === "psk" ? "pskKnown" : "rawKeyKnown");
  }

  #advance(event: ServerEvent | undefined): void {
    const arrow = event && SERVER_HANDSHAKE[this.#state][event];
    if (arrow === undefined) throw new HandshakeRefusal("MESSAGE_UNEXPECTED", { message: this.#message?.type });
    this.#state = arrow.to;
    for (const action of arrow.actions) this.#perform[action]();
  }

  #eventOf({ type, body }: HandshakeMessage): ServerEvent | undefined {
    switch (type) {
      case HANDSHAKE_TYPE.clientHello:
        return this.#state === "start" ? this.#readHello(body) : undefined;
      case HANDSHAKE_TYPE.certificate:
        return this.#choice?.clientKind === "rpk" ? "rawKeyCertificate" : "chainCertificate";
      case HANDSHAKE_TYPE.clientKeyExchange:
        return this.suite?.keyExchange === "ecdheEcdsa" ? "shareKeyExchange" : "pskKeyExchange";
      case HANDSHAKE_TYPE.certificateVerify:
        return "certificateVerify";
      case HANDSHAKE_TYPE.finished:
        return "finished";
      default:
        return undefined;
    }
  }

  #readHello(body: Uint8Array): ServerEvent {
    const hello = decodeClientHello(body);
    this.#hello = hello;
    this.clientRandom = hello.random;
    const choice = chooseForClient(hello, this.settings, this.#credentials, this.#start.resumable);
    this.#choice = choice;
    this.suite = choice.suite;
    this.hasExtendedMasterSecret = choice.hasExtendedMasterSecret;
    if (hello.extensions.connectionId && this.ownConnectionId) this.peerConnectionId = hello.extensions.connectionId;
    if (choice.resumable) return "helloToResume";
    if (choice.suite.keyExchange !== "ecdheEcdsa") return "helloForPsk";
    if (choice.clientKind) return "helloForCertificates";
    this.identity = { kind: "anonymous", name: "" };
    return "helloForAnonymous";
  }

  #current(): HandshakeMessage {
    if (this.#message === undefined) throw new BugError("DTLS_ORDER", "no message");
    return this.#message;
  }

  #sessionId(): Uint8Array {
    return this.#choice?.resumable?.sessionId ?? this.#start.newSessionId;
  }

  #sayHello(): void {
    const { crypto } = this.settings;
    this.serverRandom = crypto.randomBytes(RANDOM_BYTES);
    const extensions = helloAnswer(this.#hello as ClientHello, this.#choice as ServerChoice, this.ownConnectionId);
    this.wire.beginFlight();
    this.wire.say(
      HANDSHAKE_TYPE.serverHello,
      encodeServerHello({
        version: 0xfefd,
        random: this.serverRandom,
        sessionId: this.#sessionId(),
        suite: (this.suite as { id: number }).id,
        extensions,
      }),
    );
  }

  #answerHello(): void {
    this.#sayHello();
    const { keyExchange } = this.suite as { keyExchange: string };
    if (keyExchange !== "psk") this.#share = this.settings.crypto.createKeyShare();
    const point = this.#share?.publicPoint ?? EMPTY;
    if (keyExchange === "ecdhePsk") this.wire.say(HANDSHAKE_TYPE.serverKeyExchange, encodePskShare(point));
    if (keyExchange === "ecdheEcdsa") {
      const { certificate, key } = this.#ownCertificate();
      this.wire.say(HANDSHAKE_TYPE.certificate, encodeCertificate(certificate));
      const signed = [this.clientRandom as Uint8Array, this.serverRandom as Uint8Array, encodeShare(point)];
      this.wire.say(HANDSHAKE_TYPE.serverKeyExchange, encodeSignedShare(point, key.sign(concat(signed))));
      if (this.#choice?.clientKind) this.wire.say(HANDSHAKE_TYPE.certificateRequest, encodeCertificateRequest());
    }
    this.wire.say(HANDSHAKE_TYPE.serverHelloDone, EMPTY);
    this.sendFlight();
  }

  #ownCertificate(): { certificate: PeerCertificate; key: SigningKey } {
    const { x509, rpk } = this.#credentials;
    if (this.#choice?.serverKind === "rpk" && rpk) return { certificate: { kind: "rpk", spki: rpk.spki }, key: rpk };
    if (x509) return { certificate: { kind: "x509", chain: x509.chain }, key: x509.key };
    throw new BugError("DTLS_ORDER", "no certificate for the suite that was chosen");
  }

  #answerResumption(): void {
    const { resumable } = this.#choice as ServerChoice;
    this.master = resumable?.master;
    this.identity = resumable?.identity;
    this.#sayHello();
    this.deriveKeys();
    this.sayFinished();
    this.sendFlight();
  }

  #checkChain(): void {
    const { crypto, utcMs } = this.settings;
    const sent = decodeCertificate(this.#current().body, "x509");
    const chain = sent.kind === "x509" ? sent.chain : [];
    const own = checkChain(crypto, chain, { anchors: this.#credentials.anchors, utcMs: utcMs() });
    this.#clientKey = own.key;
    this.identity = { kind: "x509", name: own.name, fingerprint: own.fingerprint };
  }

  #askForRawKey(): void {
    const { crypto } = this.settings;
    const sent = decodeCertificate(this.#current().body, "rpk");
    const spki = sent.kind === "rpk" ? sent.spki : EMPTY;
    if (spki.length === 0) throw new HandshakeRefusal("CERTIFICATE_MISSING");
    this.#clientKey = crypto.importPublicKey(spki);
    if (this.#clientKey === undefined) throw new HandshakeRefusal("CERTIFICATE_KIND");
    this.ask({ kind: "rpk", spki, fingerprint: toHex(crypto.sha256([spki])) });
  }

  #noteRawKey(): void {
    const found = this.#found;
    const fingerprint = toHex(this.settings.crypto.sha256([(this.#clientKey as VerifyingKey).spki]));
    if (found?.kind !== "rpk" || found.name === undefined)
      throw new HandshakeRefusal("RAW_KEY_UNKNOWN", { fingerprint });
    this.identity = { kind: "rpk", name: found.name, fingerprint };
  }

  #askForPsk(): void {
    const hasShare = this.suite?.keyExchange === "ecdhePsk";
    const { identity = EMPTY, point } = decodeClientKeyExchange(this.#current().body, {
      identity: true,
      point: hasShare,
    });
    this.#clientPoint = point;
    this.#noteSessionHash();
    const name = decodeUtf8(identity);
    if (name === undefined) throw new HandshakeRefusal("PSK_IDENTITY_UNKNOWN", { identity: `0x${toHex(identity)}` });
    this.identity = { kind: "psk", name };
    this.ask({ kind: "psk", identity: name });
  }

  #agreeWithPsk(): void {
    const found = this.#found;
    if (found?.kind !== "psk" || found.key === undefined)
      throw new HandshakeRefusal("PSK_IDENTITY_UNKNOWN", { identity: this.identity?.name });
    this.agreeOn(pskPremaster(found.key, this.#clientPoint && this.#agree(this.#clientPoint)), this.#sessionHash);
  }

  #agreeOnShare(): void {
    const { point = EMPTY } = decodeClientKeyExchange(this.#current().body, { identity: false, point: true });
    this.#noteSessionHash();
    this.agreeOn(this.#agree(point), this.#sessionHash);
  }

  #agree(point: Uint8Array): Uint8Array {
    const shared = this.#share?.agree(point);
    if (shared === undefined)
      throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "a point that is not on the curve" });
    return shared;
  }

  #noteSessionHash(): void {
    this.#sessionHash = this.settings.crypto.sha256(this.wire.transcript);
  }

  #checkProof(): void {
    const signature = decodeSignature(this.#current().body);
    const signed = concat(this.wire.transcript.slice(0, -1));
    if (!this.#clientKey?.verify(signed, signature)) throw new HandshakeRefusal("SIGNATURE_WRONG");
  }

  #answerFinished(): void {
    this.wire.beginFlight();
    this.#finished = this.sayFinished();
    this.sendFlight();
  }
}
