/** The server's observations of this device: who watches what, and telling them. */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import type { NotificationAttributes } from "@airlift/protocol/lwm2m/attributes";
import { toCoapAnswer } from "@airlift/protocol/lwm2m/coap-mapping";
import { isWithin, type Path, ROOT } from "@airlift/protocol/lwm2m/path";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";
import type { ObservationOffer, ServerObservation } from "@airlift/runtime/coap";
import { type Driven, drive } from "@airlift/runtime/drive";
import { codeOf } from "./objects/answer.ts";
import { Observations, type ObservationsInput, type ObservationsOutput } from "./objects/observations.ts";
import type { ObjectRequests } from "./objects/requests.ts";

/** What is watched: one place, or several at once. */
export interface Watched {
  readonly paths: readonly Path[];
  readonly isComposite: boolean;
  readonly accept: number | undefined;
}

interface Watch extends Watched {
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

  /** Accepts an observation whose answer has just been read. */
  accept(watched: Watched, offer: ObservationOffer): void {
    this.#count += 1;
    const number = this.#count;
    const observation = offer.accept(() => this.#end(number));
    this.#watches.set(number, { ...watched, observation });
    const value = this.#valueOf(watched) ?? "";
    this.#driven.feed({ kind: "observe", observation: number, attributes: this.#attributesOf(watched), value });
  }

  /** The resources at `paths` may have changed: those who watch them are told in this order. */
  changed(paths: readonly Path[]): void {
    const told = new Set<number>();
    for (const path of paths) {
      for (const [number, watch] of this.#watches) {
        // Who watches a whole object hears once of all that changed, after the last of it.
        const isOneResource = !watch.isComposite && (watch.paths[0]?.length ?? 0) >= 3;
        const isLast = isOneResource || path === paths.at(-1);
        const touched = isOneResource ? [path] : paths;
        if (told.has(number) || !isLast || !watch.paths.some((watched) => isTouched(watched, touched))) continue;
        told.add(number);
        const value = this.#valueOf(watch);
        if (value !== undefined) this.#driven.feed({ kind: "value", observation: number, value });
      }
    }
  }

  /** Attributes have been written somewhere. */
  attributesChanged(): void {
    for (const [number, watch] of this.#watches) {
      this.#driven.feed({ kind: "attributes", observation: number, attributes: this.#attributesOf(watch) });
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

  /** Of several places the longest quiet time and the shortest longest one: none of them is told too often or too seldom. */
  #attributesOf({ paths, isComposite }: Watched): NotificationAttributes {
    const defaults = this.#options.defaults();
    const all = paths.map((path) => ({ ...defaults, ...this.#options.requests.attributesAt(path) }));
    if (!isComposite) return all[0] ?? defaults;
    const pmin = Math.max(0, ...all.map((one) => one.pmin ?? 0));
    const pmax = Math.min(...all.map((one) => one.pmax || Number.POSITIVE_INFINITY));
    return { pmin, ...(Number.isFinite(pmax) && { pmax: Math.max(pmin, pmax) }) };
  }

  /** The value itself where there is one to compare with thresholds, else the octets that would be sent. */
  #valueOf({ paths, isComposite }: Watched): ResourceValue | undefined {
    const { requests } = this.#options;
    const [path = ROOT] = paths;
    try {
      if (isComposite) return requests.readComposite(paths, undefined).payload;
      const entries = requests.entriesAt(path);
      const [only] = entries;
      if (entries.length === 1 && only?.path.length === path.length) return only.value;
      return requests.read(path, undefined).payload;
    } catch {
      return undefined;
    }
  }

  #notify(number: number): void {
    const watch = this.#watches.get(number);
    if (watch === undefined) return;
    watch.observation.notify(this.#read(watch));
  }

  #read({ paths, isComposite, accept }: Watch): CoapAnswer {
    const { requests } = this.#options;
    try {
      return toCoapAnswer(
        isComposite ? requests.readComposite(paths, accept) : requests.read(paths[0] ?? ROOT, accept),
      );
    } catch (error) {
      return toCoapAnswer({ code: codeOf(error), payload: new Uint8Array() });
    }
  }
}

function isTouched(watched: Path, paths: readonly Path[]): boolean {
  return paths.some((path) => isWithin(path, watched) || isWithin(watched, path));
}
