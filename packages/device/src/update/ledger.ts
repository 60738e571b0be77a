/** The facts of the update and the table that moves them; collects what is to be done in its order. */
import { BugError } from "@airlift/protocol/lib/errors";
import {
  FIRMWARE_UPDATE,
  type FirmwareAction,
  type FirmwareEvent,
  type FirmwareState,
  type ServerEvent,
} from "@airlift/protocol/update/firmware-update";
import type { AnswerCode, Exchange, UpdateOutput } from "./messages.ts";
import { isDeferrable, type Persisted } from "./persisted.ts";

/** A request and the code that answers it. */
export interface Answer {
  readonly exchange: Exchange;
  readonly code: AnswerCode;
}

/** Resources of /5/0 in the order in which observers hear of them: the result before the state, its time just before. */
const REPORTED: readonly (readonly [number, (facts: Persisted) => unknown])[] = [
  [1, (facts) => facts.uri],
  [11, (facts) => facts.severity],
  [13, (facts) => facts.maximumDeferPeriodS],
  [14, (facts) => facts.automaticUpgrade],
  [5, (facts) => facts.result],
  [6, (facts) => facts.state === "downloaded"],
  [7, (facts) => facts.state === "downloaded"],
  [12, (facts) => facts.lastStateChangeAtS],
  [3, (facts) => facts.state],
];

export class Ledger {
  readonly #utcMs: () => number;
  #facts: Persisted;
  #outputs: UpdateOutput[] = [];

  constructor(persisted: Persisted, utcMs: () => number) {
    this.#facts = persisted;
    this.#utcMs = utcMs;
  }

  get facts(): Persisted {
    return this.#facts;
  }

  get state(): FirmwareState {
    return this.#facts.state;
  }

  /** What has been put since the last call, in order. */
  takeOutputs(): UpdateOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  put(output: UpdateOutput): void {
    this.#outputs.push(output);
  }

  answer(exchange: Exchange, code: AnswerCode): void {
    this.put({ kind: "answer", exchange, code });
  }

  allows(event: ServerEvent): boolean {
    return FIRMWARE_UPDATE[this.state][event] !== undefined;
  }

  /** Changes facts that no arrow changes. */
  save(patch: Partial<Persisted>): void {
    const before = this.#facts;
    this.#facts = { ...before, ...patch };
    this.put({ kind: "save", persisted: this.#facts });
    this.#report(before);
  }

  /**
   * Takes the arrow of `event`: saves, then answers, then tells observers.
   *
   * @param patch Facts that this event sets beside its arrow.
   * @returns what the arrow demands of the owner.
   * @throws {BugError} FIRMWARE_EVENT when the state has no arrow for it.
   */
  move(event: FirmwareEvent, answers: readonly Answer[], patch: Partial<Persisted>): readonly FirmwareAction[] {
    const before = this.#facts;
    const arrow = FIRMWARE_UPDATE[before.state][event];
    if (!arrow) throw new BugError("FIRMWARE_EVENT", `no ${event} in ${before.state}`, { event, state: before.state });
    const discards = arrow.actions.includes("discardImage");
    this.#facts = {
      ...before,
      state: arrow.to,
      result: arrow.extra,
      uri: arrow.actions.includes("forgetUri") ? "" : before.uri,
      etag: discards ? undefined : before.etag,
      discarding: before.discarding || discards,
      resultTold: arrow.extra === before.result && before.resultTold,
      storedBytes: discards || arrow.to !== before.state ? 0 : before.storedBytes,
      lastStateChangeAtS: arrow.to === before.state ? before.lastStateChangeAtS : Math.floor(this.#utcMs() / 1000),
      updateDeadlineAtS: isDeferrable(arrow.to, arrow.extra) ? before.updateDeadlineAtS : undefined,
      ...patch,
    };
    this.put({ kind: "save", persisted: this.#facts });
    for (const { exchange, code } of answers) this.answer(exchange, code);
    this.#report(before);
    return arrow.actions;
  }

  #report(before: Persisted): void {
    const resources = REPORTED.filter(([, read]) => read(before) !== read(this.#facts)).map(([id]) => id);
    const { state, result } = this.#facts;
    if (resources.length > 0) this.put({ kind: "changed", resources, state, result });
  }
}
