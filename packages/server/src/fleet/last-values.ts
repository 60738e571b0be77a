/** What devices told last, by path. Bounded by device and in all; kept in memory only. */

export interface LastValuesOptions {
  /** Devices kept; the one that told something longest ago is forgotten first. */
  readonly deviceLimit?: number;
  /** Values kept of one device, the oldest forgotten first. */
  readonly valueLimit?: number;
}

export const DEFAULT_VALUE_DEVICE_LIMIT = 10_000;
/** The resources of some ten objects. */
export const DEFAULT_VALUE_LIMIT = 256;

export class LastValues<Value extends { readonly path: string }> {
  readonly #deviceLimit: number;
  readonly #valueLimit: number;
  readonly #devices = new Map<string, Map<string, Value>>();

  constructor(options: LastValuesOptions = {}) {
    this.#deviceLimit = options.deviceLimit ?? DEFAULT_VALUE_DEVICE_LIMIT;
    this.#valueLimit = options.valueLimit ?? DEFAULT_VALUE_LIMIT;
  }

  of(endpoint: string): Value[] {
    return [...(this.#devices.get(endpoint)?.values() ?? [])];
  }

  keep(endpoint: string, values: readonly Value[]): void {
    const kept = this.#devices.get(endpoint) ?? new Map<string, Value>();
    this.#devices.delete(endpoint);
    this.#devices.set(endpoint, kept);
    for (const value of values) {
      kept.delete(value.path);
      kept.set(value.path, value);
    }
    trim(kept, this.#valueLimit);
    trim(this.#devices, this.#deviceLimit);
  }
}

function trim(map: Map<string, unknown>, limit: number): void {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}
