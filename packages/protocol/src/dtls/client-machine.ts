/** The client's half of a handshake (RFC 5246 §7.3, RFC 6347 §4.2.4). */
import type { Arrow, Table } from "../machine/table.ts";

export type ClientState =
  | "start"
  | "helloSent"
  /** Plain PSK was chosen: a hint may come or not. */
  | "hintAwaited"
  /** ECDHE_PSK was chosen. */
  | "shareAwaited"
  | "certificateAwaited"
  | "signedShareAwaited"
  | "requestAwaited"
  | "doneAwaited"
  | "finishedSent"
  /** The server resumes: its Finished comes first. */
  | "resumed"
  | "open";

export type ClientEvent =
  | "connect"
  | "helloVerify"
  | "helloForPsk"
  | "helloForPskShare"
  | "helloForCertificate"
  | "helloToResume"
  | "certificate"
  | "keyExchange"
  | "certificateRequest"
  | "helloDone"
  | "finished";

export type ClientAction =
  | "sendHello"
  | "noteCookie"
  | "checkCertificate"
  | "readHint"
  | "readShare"
  | "checkShare"
  | "noteRequest"
  | "answer"
  | "resumeKeys"
  | "checkFinished"
  | "answerFinished"
  | "open";

const to = (state: ClientState, ...actions: ClientAction[]): Arrow<ClientState, ClientAction> => ({
  to: state,
  actions,
  extra: undefined,
});

export const CLIENT_HANDSHAKE: Table<ClientState, ClientEvent, ClientAction> = {
  start: { connect: to("helloSent", "sendHello") },
  helloSent: {
    helloVerify: to("helloSent", "noteCookie", "sendHello"),
    helloForPsk: to("hintAwaited"),
    helloForPskShare: to("shareAwaited"),
    helloForCertificate: to("certificateAwaited"),
    helloToResume: to("resumed", "resumeKeys"),
  },
  hintAwaited: {
    keyExchange: to("doneAwaited", "readHint"),
    helloDone: to("finishedSent", "answer"),
  },
  shareAwaited: { keyExchange: to("doneAwaited", "readShare") },
  certificateAwaited: { certificate: to("signedShareAwaited", "checkCertificate") },
  signedShareAwaited: { keyExchange: to("requestAwaited", "checkShare") },
  requestAwaited: {
    certificateRequest: to("doneAwaited", "noteRequest"),
    helloDone: to("finishedSent", "answer"),
  },
  doneAwaited: { helloDone: to("finishedSent", "answer") },
  finishedSent: { finished: to("open", "checkFinished", "open") },
  resumed: { finished: to("open", "checkFinished", "answerFinished", "open") },
  open: {},
};
