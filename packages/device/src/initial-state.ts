/** What an integrator without a store tells of the update at a start: what became of it while the program was down. */
import { FACTORY, fromStore, type Persisted } from "./update/persisted.ts";

/**
 * `neutral` nothing is under way (0, 0) · `downloading` a pull was cut off: it is resumed (1, 0) · `downloaded` an image is
 * there (2, 0), or deferred (2, 11) when it has a deadline · `updating` the outcome comes by `setResult` (3, 0) ·
 * `success` (0, 1) · `integrityFailed` the boot loader refused the image (0, 5) · `failed` (0, 8). In brackets: State and
 * Update Result.
 */
export interface InitialState {
  readonly kind: "neutral" | "downloading" | "downloaded" | "updating" | "success" | "integrityFailed" | "failed";
  /** Package URI; without one a download cannot be resumed, and what is stored is reset. */
  readonly uri?: string;
  /** Octets of the download that are stored for good; the next `write` brings the octet at this offset. Default 0. */
  readonly offset?: number;
  /** Entity tag that `openStream` was given; without one a download begins anew, after a reset. */
  readonly etag?: Uint8Array;
  /** /5/0/11 as the agent told it before; default 1, mandatory. */
  readonly severity?: number;
  /** /5/0/12, seconds since 1970; default 0. */
  readonly lastStateChangeAtS?: number;
  /** Until when the update may be put off, seconds since 1970; of `downloaded` and `updating`. */
  readonly updateDeadlineAtS?: number;
}

export function fromInitialState(initial: InitialState): Persisted {
  const { kind, uri, offset = 0, etag, severity, lastStateChangeAtS, updateDeadlineAtS } = initial;
  const notes = {
    ...(severity !== undefined && { severity }),
    ...(lastStateChangeAtS !== undefined && { lastStateChangeAtS }),
    ...(updateDeadlineAtS !== undefined && { updateDeadlineAtS }),
  };
  const kept = { notes, ...(uri !== undefined && { uri }) };
  switch (kind) {
    case "neutral":
      return fromStore({ state: "idle", result: FACTORY.result, ...kept });
    case "success":
    case "integrityFailed":
    case "failed":
      return fromStore({ state: "idle", result: kind, ...kept });
    case "downloading":
      return fromStore({
        state: "downloading",
        result: "initial",
        uri: uri ?? "",
        offset,
        notes,
        ...(etag && { etag }),
      });
    case "downloaded":
      return fromStore({
        state: "downloaded",
        result: updateDeadlineAtS === undefined ? "initial" : "deferred",
        ...kept,
      });
    case "updating":
      return fromStore({ state: "updating", result: "initial", ...kept });
  }
}
