/**
 * What the components of a device (object 33629) have to do with each other: which are updated together, which stand in
 * each other's way, and which of them an Update means.
 */

import { PeerError } from "@airlift/protocol/lib/errors";
import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import { ADVANCED_FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/advanced-firmware-update";

interface Links {
  /** Updated with this one when Update names nobody. */
  linked: ReadonlySet<number>;
  /** Set by the integrator: without them this one cannot be updated. */
  conflicting: ReadonlySet<number>;
  /** Why the last download or update failed with 12 or 13. */
  reported: ReadonlySet<number>;
}

const NOBODY: ReadonlySet<number> = new Set();

/** Instances by number; a set never holds the instance whose set it is. */
export class ComponentLinks {
  readonly #links = new Map<number, Links>();
  readonly #isDownloaded: (instance: number) => boolean;

  /** @param isDownloaded Whether an instance is in Downloaded at present. */
  constructor(instances: Iterable<number>, isDownloaded: (instance: number) => boolean) {
    for (const instance of instances) {
      this.#links.set(instance, { linked: NOBODY, conflicting: NOBODY, reported: NOBODY });
    }
    this.#isDownloaded = isDownloaded;
  }

  /** Linked Instances (16): none but in Downloaded, and each of the others too. */
  linked(instance: number): number[] {
    return this.#isDownloaded(instance) ? this.companions(instance) : [];
  }

  /** Those that an Update of `instance` installs too when it names nobody. */
  companions(instance: number): number[] {
    return sorted(this.#of(instance).linked).filter((other) => this.#isDownloaded(other));
  }

  /** Conflicting Instances (17). */
  conflicting(instance: number): number[] {
    const { conflicting, reported } = this.#of(instance);
    return sorted(new Set([...conflicting, ...reported]));
  }

  setLinked(instance: number, others: Iterable<number>): void {
    this.#of(instance).linked = without(instance, others);
  }

  setConflicting(instance: number, others: Iterable<number>): void {
    this.#of(instance).conflicting = without(instance, others);
  }

  /** Says which instances a result 12 or 13 is about. */
  report(instance: number, others: Iterable<number>): void {
    this.#of(instance).reported = without(instance, others);
  }

  /** All of these came in one package: each is linked to all others. */
  link(instances: readonly number[]): void {
    for (const instance of instances) this.setLinked(instance, instances);
  }

  /** The instance begins anew: what was said of its last package no longer holds. */
  begin(instance: number): void {
    this.unlink(instance);
    this.setConflicting(instance, NOBODY);
    this.report(instance, NOBODY);
  }

  /** The package of `instance` is gone: nobody is updated together with it. */
  unlink(instance: number): void {
    for (const [other, links] of this.#links) {
      links.linked = other === instance ? NOBODY : new Set([...links.linked].filter((one) => one !== instance));
    }
  }

  /**
   * Those that stand in the way of updating `instance` together with `others`: what is not downloaded, and what the
   * integrator named as conflicting and is not updated with it.
   */
  obstacles(instance: number, others: readonly number[]): number[] {
    const missing = others.filter((other) => !this.#isDownloaded(other));
    const left = [...this.#of(instance).conflicting].filter((other) => !others.includes(other));
    return sorted(new Set([...missing, ...left]));
  }

  #of(instance: number): Links {
    return this.#links.get(instance) ?? { linked: NOBODY, conflicting: NOBODY, reported: NOBODY };
  }
}

const LINK = /^<\/([0-9]{1,5})\/([0-9]{1,5})>$/;
const LARGEST_INSTANCE = 65_534;

/**
 * Which others an Update of one component means: `linked` without an argument, else exactly those that argument 0 lists,
 * nobody when it has no value. Duplicates are listed once.
 *
 * @throws {PeerError} ARGUMENTS for another argument, and for a list that is not one of instances of this object.
 */
export function decodeCompanions(given: ExecuteArguments): readonly number[] | "linked" {
  if (given.size === 0) return "linked";
  if (given.size > 1 || !given.has(0)) throw new PeerError("ARGUMENTS", "Update knows argument 0 alone");
  const list = given.get(0) ?? "";
  if (list === "") return [];
  const instances = list.split(",").map((link) => {
    const [, object, instance] = LINK.exec(link.trim()) ?? [];
    const isOurs = Number(object) === ADVANCED_FIRMWARE_UPDATE_ID && Number(instance) <= LARGEST_INSTANCE;
    if (!isOurs) throw new PeerError("ARGUMENTS", "not a list of component instances", { link });
    return Number(instance);
  });
  return [...new Set(instances)];
}

function without(instance: number, others: Iterable<number>): ReadonlySet<number> {
  return new Set([...others].filter((other) => other !== instance));
}

function sorted(instances: ReadonlySet<number>): number[] {
  return [...instances].sort((a, b) => a - b);
}
