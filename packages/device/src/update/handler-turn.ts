/** One handler at a time, and whether what it did still counts when it settles. */
import type { HandlerCall, UpdateOutput } from "./messages.ts";

interface Running {
  readonly call: number;
  readonly name: HandlerCall["handler"];
  readonly epoch: number;
}

export class HandlerTurn {
  #running: Running | undefined;
  #epoch = 0;
  #callCount = 0;

  /** No handler runs. */
  get isFree(): boolean {
    return this.#running === undefined;
  }

  begin(call: HandlerCall): UpdateOutput {
    this.#callCount += 1;
    this.#running = { call: this.#callCount, name: call.handler, epoch: this.#epoch };
    return { kind: "call", call: this.#callCount, ...call };
  }

  /** The handler that settled, or `undefined` for one that does not run; `isStale` when the update has moved on meanwhile. */
  settle(call: number): { readonly name: HandlerCall["handler"]; readonly isStale: boolean } | undefined {
    if (this.#running?.call !== call) return undefined;
    const { name, epoch } = this.#running;
    this.#running = undefined;
    return { name, isStale: epoch !== this.#epoch };
  }

  /** The update has moved on: what a running handler is doing no longer counts. */
  moveOn(): void {
    this.#epoch += 1;
  }
}
