/** The packages above a device's firmware (object 9). */
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  SOFTWARE_MANAGEMENT_ID,
  SOFTWARE_MANAGEMENT_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/software-management";
import type { Path } from "@airlift/protocol/lwm2m/path";
import { isActive } from "@airlift/protocol/update/software-management";
import type { AgentUnit } from "./agent-unit.ts";
import type { DeviceObject } from "./objects/resource.ts";
import { createSoftwareObject } from "./objects/software-object.ts";
import type { PackagePushes } from "./package-pushes.ts";
import { SoftwareMember, type SoftwarePorts, type StoredSoftware } from "./software-member.ts";
import type { Software } from "./software-ports.ts";

const ID = SOFTWARE_MANAGEMENT_RESOURCES;
/** In the order in which observers hear of them: the result before the state. */
const REPORTED = [
  ID.packageName,
  ID.packageVersion,
  ID.statusReason,
  ID.updateResult,
  ID.updateState,
  ID.activationState,
] as const;

export interface SoftwareSetOptions extends Omit<SoftwarePorts, "onChanged"> {
  /** These may have changed; observers hear of them in this order. */
  onChanged(paths: readonly Path[]): void;
  onState(software: number): void;
}

export class SoftwareSet implements AgentUnit {
  readonly #members = new Map<number, SoftwareMember>();

  constructor(stored: ReadonlyMap<number, StoredSoftware>, options: SoftwareSetOptions) {
    const ports: SoftwarePorts = {
      ...options,
      onChanged: ({ instance }) => {
        options.onChanged(REPORTED.map((resource) => [SOFTWARE_MANAGEMENT_ID, instance, resource]));
        options.onState(instance);
      },
    };
    for (const [instance, software] of stored) {
      this.#members.set(instance, new SoftwareMember(instance, software, ports));
    }
  }

  get pushes(): readonly PackagePushes[] {
    return [...this.#members.values()].map(({ pushes }) => pushes);
  }

  objects(): DeviceObject[] {
    return [...this.#members.values()].map((member) =>
      createSoftwareObject({
        instance: member.instance,
        facts: () => member.facts,
        packageName: () => member.handlers.packageName(),
        packageVersion: () => member.handlers.packageVersion(),
        reason: () => member.reason,
        writePackage: (bytes) => member.pushes.whole(bytes),
        writeUri: (uri) => member.writeUri(uri),
        request: (request) => member.request(request),
      }),
    );
  }

  /** @throws {UsageError} NO_SOFTWARE */
  software(instance: number): Software {
    const member = this.#members.get(instance);
    if (member === undefined) throw new UsageError("NO_SOFTWARE", `no package ${instance}`, { instance });
    return {
      get state() {
        return member.facts.state;
      },
      get result() {
        return member.facts.result;
      },
      get isActive() {
        return isActive(member.facts.state);
      },
      setResult: (result) => member.setResult(result),
    };
  }

  start(): void {
    for (const member of this.#members.values()) member.start();
  }

  registered(): void {
    for (const { trial } of this.#members.values()) void trial?.succeed();
  }

  async decided(): Promise<void> {
    for (const { trial } of this.#members.values()) await trial?.decided;
  }

  /** What a server has read of object 9 changes nothing. */
  hasRead(): void {}

  stop(): void {
    for (const member of this.#members.values()) member.stop();
  }
}
