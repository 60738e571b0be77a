/** The server's half of a handshake (RFC 5246 §7.3, RFC 6347 §4.2.4) after the cookie came back. */
import type { Arrow, Table } from "../machine/table.ts";

export type ServerState =
  | "start"
  /** Waits for the client's Certificate. */
  | "certificateAwaited"
  /** Somebody looks up the client's raw public key. */
  | "rawKeyAsked"
  /** Waits for the key exchange of a client that showed a certificate, and for its proof. */
  | "provableKeyAwaited"
  | "proofAwaited"
  /** Waits for the key exchange of a client that shows no certificate. */
  | "keyAwaited"
  /** Somebody looks up the pre-shared key. */
  | "pskAsked"
  | "finishedAwaited"
  /** Resumes: we have sent Finished already. */
  | "resumedFinishedAwaited"
  | "open";

/** Messages, split by what the hello led to, and answers to questions of ours. */
export type ServerEvent =
  | "helloForPsk"
  | "helloForCertificates"
  | "helloForAnonymous"
  | "helloToResume"
  | "rawKeyCertificate"
  | "chainCertificate"
  | "rawKeyKnown"
  | "pskKeyExchange"
  | "shareKeyExchange"
  | "pskKnown"
  | "certificateVerify"
  | "finished";

export type ServerAction =
  | "answerHello"
  | "answerResumption"
  | "askForRawKey"
  | "checkChain"
  | "noteRawKey"
  | "askForPsk"
  | "agreeWithPsk"
  | "agreeOnShare"
  | "checkProof"
  | "checkFinished"
  | "answerFinished"
  | "open";

const to = (state: ServerState, ...actions: ServerAction[]): Arrow<ServerState, ServerAction> => ({
  to: state,
  actions,
  extra: undefined,
});

export const SERVER_HANDSHAKE: Table<ServerState, ServerEvent, ServerAction> = {
  start: {
    helloForPsk: to("keyAwaited", "answerHello"),
    helloForAnonymous: to("keyAwaited", "answerHello"),
    helloForCertificates: to("certificateAwaited", "answerHello"),
    helloToResume: to("resumedFinishedAwaited", "answerResumption"),
  },
  certificateAwaited: {
    rawKeyCertificate: to("rawKeyAsked", "askForRawKey"),
    chainCertificate: to("provableKeyAwaited", "checkChain"),
  },
  rawKeyAsked: { rawKeyKnown: to("provableKeyAwaited", "noteRawKey") },
  provableKeyAwaited: { shareKeyExchange: to("proofAwaited", "agreeOnShare") },
  proofAwaited: { certificateVerify: to("finishedAwaited", "checkProof") },
  keyAwaited: {
    pskKeyExchange: to("pskAsked", "askForPsk"),
    shareKeyExchange: to("finishedAwaited", "agreeOnShare"),
  },
  pskAsked: { pskKnown: to("finishedAwaited", "agreeWithPsk") },
  finishedAwaited: { finished: to("open", "checkFinished", "answerFinished", "open") },
  resumedFinishedAwaited: { finished: to("open", "checkFinished", "open") },
  open: {},
};
