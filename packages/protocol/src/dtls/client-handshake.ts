/** The client's half of a handshake: performs what `CLIENT_HANDSHAKE` says. */
import { concat, EMPTY, equalBytes, toHex } from "../lib/bytes.ts";
import { BugError } from "../lib/errors.ts";
import { checkChain } from "./certificate-check.ts";
import { CLIENT_HANDSHAKE, type ClientAction, type ClientEvent, type ClientState } from "./client-machine.ts";
import { type ClientCredentials, helloOffer, offeredSuites } from "./client-offer.ts";
import type { KeyShare, VerifyingKey } from "./crypto-port.ts";
import { CERTIFICATE_TYPE, type CertificateKind } from "./extensions.ts";
import { Handshake } from "./handshake.ts";
import type { HandshakeStart } from "./handshake-agreement.ts";
import { HANDSHAKE_TYPE, type HandshakeMessage } from "./handshake-message.ts";
import type { HandshakeSettings, Resumable } from "./handshake-types.ts";
import { decodeHelloVerify, decodeServerHello, encodeClientHello, RANDOM_BYTES, type ServerHello } from "./hello.ts";
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodePskHint,
  decodeSignedShare,
  encodeCertificate,
  encodeClientKeyExchange,
  encodeIdentity,
  encodeShare,
  encodeSignature,
  type PeerCertificate,
} from "./key-exchange-messages.ts";
import { pskPremaster } from "./key-schedule.ts";
import { HandshakeRefusal } from "./reasons.ts";
import { VERSION_1_2 } from "./record.ts";

/** A server that asks for a cookie again and again gets so many hellos. */
const MAX_COOKIES = 3;

export interface ClientStart extends Pick<HandshakeStart, "ownConnectionId"> {
  /** A session to take up again, if the server still has it. */
  readonly resumable: Resumable | undefined;
}

export class ClientHandshake extends Handshake {
  readonly #credentials: ClientCredentials;
  readonly #resumable: Resumable | undefined;
  #state: ClientState = "start";
  #message: HandshakeMessage | undefined;
  #cookie: Uint8Array = EMPTY;
  #cookieCount = 0;
  #server: ServerHello | undefined;
  #serverKey: VerifyingKey | undefined;
  #serverPoint: Uint8Array | undefined;
  #isAskedForCertificate = false;
  #finished: Uint8Array | undefined;
  readonly #perform: Readonly<Record<ClientAction, () => void>> = {
    sendHello: () => this.#sendHello(),
    noteCookie: () => this.#noteCookie(),
    checkCertificate: () => this.#checkCertificate(),
    readHint: () => void decodePskHint(this.#body(), false),
    readShare: () => this.#readShare(),
    checkShare: () => this.#checkShare(),
    noteRequest: () => this.#noteRequest(),
    answer: () => this.#answer(),
    resumeKeys: () => this.#resumeKeys(),
    checkFinished: () => this.checkFinished(this.#message as HandshakeMessage, this.wire.transcript.slice(0, -1)),
    answerFinished: () => this.#answerFinished(),
    open: () => this.finish(this.#server?.sessionId ?? EMPTY, this.#isResumed(), this.#finished),
  };

  constructor(settings: HandshakeSettings, credentials: ClientCredentials, start: ClientStart) {
    super("client", settings, { ...start, messageNumber: 0, recordSequence: 0 });
    this.#credentials = credentials;
    this.#resumable = start.resumable;
  }

  protected start(): void {
    this.clientRandom = this.settings.crypto.randomBytes(RANDOM_BYTES);
    this.#advance("connect");
  }

  protected receive(message: HandshakeMessage): void {
    this.#message = message;
    this.#advance(this.#eventOf(message));
  }

  protected resolve(): void {
    throw new BugError("DTLS_ORDER", "a client asks nobody");
  }

  #advance(event: ClientEvent | undefined): void {
    const arrow = event && CLIENT_HANDSHAKE[this.#state][event];
    if (arrow === undefined) throw new HandshakeRefusal("MESSAGE_UNEXPECTED", { message: this.#message?.type });
    this.#state = arrow.to;
    for (const action of arrow.actions) this.#perform[action]();
  }

  #eventOf({ type, body }: HandshakeMessage): ClientEvent | undefined {
    switch (type) {
      case HANDSHAKE_TYPE.helloVerifyRequest:
        return "helloVerify";
      case HANDSHAKE_TYPE.serverHello:
        return this.#state === "helloSent" ? this.#readHello(decodeServerHello(body)) : undefined;
      case HANDSHAKE_TYPE.certificate:
        return "certificate";
      case HANDSHAKE_TYPE.serverKeyExchange:
        return "keyExchange";
      case HANDSHAKE_TYPE.certificateRequest:
        return "certificateRequest";
      case HANDSHAKE_TYPE.serverHelloDone:
        return "helloDone";
      case HANDSHAKE_TYPE.finished:
        return "finished";
      default:
        return undefined;
    }
  }

  #readHello(hello: ServerHello): ClientEvent {
    const { extensions } = hello;
    if (hello.version !== VERSION_1_2) throw new HandshakeRefusal("VERSION_OLD", { version: "another version" });
    const suite = offeredSuites(this.settings, this.#credentials).find(({ id }) => id === hello.suite);
    if (suite === undefined) throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: `suite ${hello.suite}` });
    if (extensions.connectionId && this.ownConnectionId === undefined)
      throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "a Connection ID" });
    if (suite.protection === "cbc" && !extensions.encryptThenMac)
      throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "CBC without encrypt-then-MAC" });
    this.suite = suite;
    this.#server = hello;
    this.serverRandom = hello.random;
    this.hasExtendedMasterSecret = extensions.extendedMasterSecret === true;
    this.peerConnectionId = extensions.connectionId;
    if (this.settings.requireExtendedMasterSecret && !this.hasExtendedMasterSecret)
      throw new HandshakeRefusal("EXTENDED_MASTER_SECRET_MISSING");
    const old = this.#resumable;
    if (old && hello.sessionId.length > 0 && equalBytes(old.sessionId, hello.sessionId)) {
      if (old.suite !== suite) throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: `suite ${hello.suite}` });
      if (old.hasExtendedMasterSecret !== this.hasExtendedMasterSecret) throw new HandshakeRefusal("RESUMPTION_WEAKER");
      return "helloToResume";
    }
    if (suite.keyExchange === "psk") return "helloForPsk";
    return suite.keyExchange === "ecdhePsk" ? "helloForPskShare" : "helloForCertificate";
  }

  #readShare(): void {
    this.#serverPoint = decodePskHint(this.#body(), true);
  }

  #noteRequest(): void {
    this.#isAskedForCertificate = true;
    if (!decodeCertificateRequest(this.#body())) throw new HandshakeRefusal("CERTIFICATE_KIND");
  }

  #isResumed(): boolean {
    return this.#resumable !== undefined && this.master === this.#resumable.master;
  }

  #body(): Uint8Array {
    return this.#message?.body ?? EMPTY;
  }

  #sendHello(): void {
    this.wire.beginFlight();
    this.wire.transcript = [];
    const hello = {
      version: VERSION_1_2,
      random: this.clientRandom as Uint8Array,
      sessionId: this.#resumable?.sessionId ?? EMPTY,
      cookie: this.#cookie,
      suites: offeredSuites(this.settings, this.#credentials).map(({ id }) => id),
      extensions: helloOffer(this.settings, this.#credentials, this.ownConnectionId),
    };
    this.wire.say(HANDSHAKE_TYPE.clientHello, encodeClientHello(hello));
    this.sendFlight();
  }

  #noteCookie(): void {
    this.#cookie = decodeHelloVerify(this.#body());
    this.#cookieCount += 1;
    if (this.#cookieCount > MAX_COOKIES) throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "one more cookie" });
  }

  #checkCertificate(): void {
    const { crypto, utcMs } = this.settings;
    const { anchors, serverKeys, host } = this.#credentials;
    const kind = this.#kind(this.#server?.extensions.serverCertificateTypes);
    const sent = decodeCertificate(this.#body(), kind);
    if (sent.kind === "x509") {
      const own = checkChain(crypto, sent.chain, { anchors, utcMs: utcMs(), host });
      this.#serverKey = own.key;
      this.identity = { kind: "x509", name: own.name, fingerprint: own.fingerprint };
      return;
    }
    const fingerprint = toHex(crypto.sha256([sent.spki]));
    if (!serverKeys.some((known) => equalBytes(known, sent.spki)))
      throw new HandshakeRefusal("RAW_KEY_UNKNOWN", { fingerprint });
    this.#serverKey = crypto.importPublicKey(sent.spki);
    if (this.#serverKey === undefined) throw new HandshakeRefusal("CERTIFICATE_KIND");
    this.identity = { kind: "rpk", name: fingerprint, fingerprint };
  }

  /** The certificate type that the server chose; X.509 when it says nothing. @see RFC 7250 §4.2 */
  #kind(types: readonly number[] | undefined): CertificateKind {
    return types?.[0] === CERTIFICATE_TYPE.rpk ? "rpk" : "x509";
  }

  #checkShare(): void {
    const { point, signature } = decodeSignedShare(this.#body());
    const signed = concat([this.clientRandom as Uint8Array, this.serverRandom as Uint8Array, encodeShare(point)]);
    if (!this.#serverKey?.verify(signed, signature)) throw new HandshakeRefusal("SIGNATURE_WRONG");
    this.#serverPoint = point;
  }

  #answer(): void {
    this.wire.beginFlight();
    const { psk, rpk, x509 } = this.#credentials;
    const isPsk = this.suite?.keyExchange !== "ecdheEcdsa";
    const kind = this.#kind(this.#server?.extensions.clientCertificateTypes);
    const key = kind === "rpk" ? rpk : x509?.key;
    if (this.#isAskedForCertificate) this.wire.say(HANDSHAKE_TYPE.certificate, encodeCertificate(this.#own(kind)));
    const share = this.suite?.keyExchange === "psk" ? undefined : this.settings.crypto.createKeyShare();
    const identity = isPsk ? encodeIdentity(psk?.identity ?? "") : undefined;
    const exchange = encodeClientKeyExchange({ identity, point: share?.publicPoint });
    this.wire.say(HANDSHAKE_TYPE.clientKeyExchange, exchange);
    if (isPsk) this.identity = { kind: "psk", name: psk?.identity ?? "" };
    const shared = share && this.#agree(share);
    const premaster = isPsk ? pskPremaster(psk?.key ?? EMPTY, shared) : (shared as Uint8Array);
    this.agreeOn(premaster, this.settings.crypto.sha256(this.wire.transcript));
    if (this.#isAskedForCertificate && key) {
      const signature = key.sign(concat(this.wire.transcript));
      this.wire.say(HANDSHAKE_TYPE.certificateVerify, encodeSignature(signature));
    }
    this.sayFinished();
    this.sendFlight();
  }

  #own(kind: CertificateKind): PeerCertificate {
    const { rpk, x509 } = this.#credentials;
    if (kind === "rpk") return { kind, spki: rpk?.spki ?? EMPTY };
    return { kind, chain: x509?.chain ?? [] };
  }

  #agree(share: KeyShare): Uint8Array {
    const shared = share.agree(this.#serverPoint ?? EMPTY);
    if (shared === undefined)
      throw new HandshakeRefusal("PARAMETER_ILLEGAL", { what: "a point that is not on the curve" });
    return shared;
  }

  #resumeKeys(): void {
    this.master = this.#resumable?.master;
    this.identity = this.#resumable?.identity;
    this.deriveKeys();
  }

  #answerFinished(): void {
    this.wire.beginFlight();
    this.#finished = this.sayFinished();
    this.sendFlight();
  }
}
