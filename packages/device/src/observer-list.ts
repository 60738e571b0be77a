/** The server's observations of this device: who watches what, and telling them. */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import type { NotificationAttributes } from "@airlift/protocol/lwm2m/attributes";
import { toCoapAnswer } from "@airlift/protocol/lwm2m/coap-mapping";
import { isWithin, type Path } from "@airlift/protocol/lwm2m/path";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";
import type { ObservationOffer, ServerObservation } from "@airlift/runtime/coap";
import { type Driven, drive } from "@airlift/runtime/drive";
import { Observations, type ObservationsInput, type ObservationsOutput } from "./objects/observations.ts";
import { codeOf, type ObjectRequests } from "./objects/requests.ts";

interface Watch {
  readonly path: Path;
  readonly accept: number | undefined;
  readonly observation: ServerObservation;
}

export interface ObserverListOptions {
  readonly requests: ObjectRequests;
  /** Attributes that hold where nothing else is written. */
  defaults(): NotificationAttributes;
}

export class ObserverList {
  readonly #options: ObserverListOptions;
  readonly #watches = new Map<number, Watch>();
  readonly #driven: Driven<ObservationsInput>;
  #count = 0;

  constructor(options: ObserverListOptions) {
    this.#options = options;
    this.#driven = drive<ObservationsInput, ObservationsOutput>(new Observations(), { kind: "wake" }, (output) =>
      this.#notify(output.observation),
    );
  }

  /** Accepts an observation of `path`, whose answer has just been read. */
  accept(path: Path, accept: number | undefined, offer: ObservationOffer): void {
    this.#count += 1;
    const number = this.#count;
    const observation = offer.accept(() => this.#end(number));
    this.#watches.set(number, { path, accept, observation });
    const value = this.#valueOf(path) ?? "";
    this.#driven.feed({ kind: "observe", observation: number, attributes: this.#attributesAt(path), value });
  }

  /** The resources at `paths` may have changed: those who watch them are told in this order. */
  changed(paths: readonly Path[]): void {
    const told = new Set<number>();
    for (const path of paths) {
      for (const [number, watch] of this.#watches) {
        // Who watches a whole object hears once of all that changed, after the last of it.
        const isLast = watch.path.length >= 3 || path === paths.at(-1);
        if (told.has(number) || !isLast || !isTouched(watch.path, paths, path)) continue;
        told.add(number);
        const value = this.#valueOf(watch.path);
        if (value !== undefined) this.#driven.feed({ kind: "value", observation: number, value });
      }
    }
  }

  /** Attributes have been written somewhere. */
  attributesChanged(): void {
    for (const [number, { path }] of this.#watches) {
      this.#driven.feed({ kind: "attributes", observation: number, attributes: this.#attributesAt(path) });
    }
  }

  /** A new registration: the server knows nothing of these any more. */
  clear(): void {
    for (const [number, { observation }] of this.#watches) {
      observation.end();
      this.#end(number);
    }
  }

  stop(): void {
    this.clear();
    this.#driven.stop();
  }

  #end(number: number): void {
    this.#watches.delete(number);
    this.#driven.feed({ kind: "end", observation: number });
  }

  #attributesAt(path: Path): NotificationAttributes {
    return { ...this.#options.defaults(), ...this.#options.requests.attributesAt(path) };
  }

  /** The value itself where there is one to compare with thresholds, else the octets that would be sent. */
  #valueOf(path: Path): ResourceValue | undefined {
    try {
      const entries = this.#options.requests.entriesAt(path);
      const [only] = entries;
      if (entries.length === 1 && only?.path.length === path.length) return only.value;
      return this.#options.requests.read(path, undefined).payload;
    } catch {
      return undefined;
    }
  }

  #notify(number: number): void {
    const watch = this.#watches.get(number);
    if (watch === undefined) return;
    watch.observation.notify(this.#read(watch));
  }

  #read({ path, accept }: Watch): CoapAnswer {
    try {
      return toCoapAnswer(this.#options.requests.read(path, accept));
    } catch (error) {
      return toCoapAnswer({ code: codeOf(error), payload: new Uint8Array() });
    }
  }
}

function isTouched(watched: Path, paths: readonly Path[], path: Path): boolean {
  if (watched.length >= 3) return isWithin(path, watched) || isWithin(watched, path);
  return paths.some((each) => isWithin(watched, each));
}
