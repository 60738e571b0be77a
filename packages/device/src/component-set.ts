/**
 * The components of a device (object 33629): one firmware update for each, and what an Update of several comes to.
 *
 * Each component is the core of object 5. What ties them is here: one package for several, one Update for several.
 */
import { CODE } from "@airlift/protocol/coap/codes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import {
  ADVANCED_FIRMWARE_UPDATE_ID,
  ADVANCED_FIRMWARE_UPDATE_RESOURCES,
} from "@airlift/protocol/lwm2m/objects/advanced-firmware-update";
import { isWithin, type Path } from "@airlift/protocol/lwm2m/path";
import type { AgentUnit } from "./agent-unit.ts";
import { Member, type MemberPorts, type StoredComponent } from "./component-member.ts";
import type { Component } from "./component-ports.ts";
import { ComponentTies } from "./component-ties.ts";
import { createComponentObject } from "./objects/component-object.ts";
import type { FirmwareObjectPorts } from "./objects/firmware-object.ts";
import type { DeviceObject } from "./objects/resource.ts";
import { CODE_OF_ANSWER, type PackagePushes } from "./package-pushes.ts";
import { ComponentLinks, decodeCompanions } from "./update/component-links.ts";
import { eventToReach } from "./update/component-moves.ts";
import type { Standing } from "./update/messages.ts";
import type { UpdateRequest } from "./update-runner.ts";

export interface ComponentSetOptions
  extends Omit<MemberPorts, "onReceived" | "companions" | "onChanged">,
    Pick<FirmwareObjectPorts, "methods" | "protocols"> {
  isPullable(uri: string): boolean;
  /** These may have changed; observers hear of them in this order. */
  onChanged(paths: readonly Path[]): void;
  onState(component: number): void;
}

const ID = ADVANCED_FIRMWARE_UPDATE_RESOURCES;

export class ComponentSet implements AgentUnit {
  readonly #options: ComponentSetOptions;
  readonly #members = new Map<number, Member>();
  readonly #links: ComponentLinks;
  readonly #ties: ComponentTies;

  constructor(stored: ReadonlyMap<number, StoredComponent>, options: ComponentSetOptions) {
    this.#options = options;
    const isDownloaded = (instance: number): boolean =>
      this.#members.get(instance)?.runner.facts.state === "downloaded";
    this.#links = new ComponentLinks(stored.keys(), isDownloaded);
    this.#ties = new ComponentTies(this.#members, this.#links);
    for (const [instance, component] of stored) {
      this.#members.set(instance, new Member(instance, component, this.#portsOfMembers()));
      this.#links.setLinked(instance, component.options.linked ?? []);
      this.#links.setConflicting(instance, component.options.conflicting ?? []);
    }
  }

  get pushes(): readonly PackagePushes[] {
    return [...this.#members.values()].map(({ pushes }) => pushes);
  }

  /** Update Result and State of each component, as they are reported by Send. */
  get reported(): readonly (readonly [result: Path, state: Path])[] {
    return [...this.#members.keys()].map((instance) => [at(instance, ID.updateResult), at(instance, ID.state)]);
  }

  objects(): DeviceObject[] {
    return [...this.#members.values()].map((member) => this.#object(member));
  }

  /** @throws {UsageError} NO_COMPONENT */
  component(instance: number): Component {
    const { runner } = this.#member(instance);
    const links = this.#links;
    const change = (set: () => void): void => {
      set();
      this.#tellLinks();
    };
    return {
      get state() {
        return runner.facts.state;
      },
      get result() {
        return runner.facts.result;
      },
      get linked() {
        return links.linked(instance);
      },
      get conflicting() {
        return links.conflicting(instance);
      },
      setLinked: (instances) => change(() => links.setLinked(instance, this.#known(instances))),
      setConflicting: (instances) => change(() => links.setConflicting(instance, this.#known(instances))),
      setResult: (result) => runner.feed({ kind: "setResult", result }),
      setStateAndResult: (state, result) =>
        runner.feed({ kind: "moved", event: eventToReach(runner.facts.state, { state, result }) }),
      acceptUpdate: () => runner.feed({ kind: "accept" }),
    };
  }

  start(): void {
    for (const member of this.#members.values()) member.start();
  }

  /** Confirms the components that are on trial. */
  registered(): void {
    for (const { trial } of this.#members.values()) void trial?.succeed();
  }

  async decided(): Promise<void> {
    for (const { trial } of this.#members.values()) await trial?.decided;
  }

  stop(): void {
    for (const member of this.#members.values()) member.stop();
  }

  hasRead(path: Path): void {
    for (const { instance, runner } of this.#members.values()) {
      if (isWithin(path, at(instance, ID.updateResult))) runner.feed({ kind: "resultTold" });
    }
  }

  // ---- the server's requests ----

  #object({ instance, options, runner, pushes }: Member): DeviceObject {
    const { methods, protocols, isPullable } = this.#options;
    const { name, currentVersion, handlers } = options;
    const ask = async (request: UpdateRequest): Promise<number> => CODE_OF_ANSWER[await runner.request(request)];
    return createComponentObject({
      instance,
      name,
      methods,
      protocols,
      currentVersion: () => (typeof currentVersion === "string" ? currentVersion : currentVersion()),
      linked: () => this.#links.linked(instance),
      conflicting: () => this.#links.conflicting(instance),
      facts: () => runner.facts,
      packageName: () => handlers.packageName?.(),
      packageVersion: () => handlers.packageVersion?.(),
      writePackage: (bytes) => pushes.whole(bytes),
      writeUri: (uri) => ask({ kind: "writeUri", uri, supported: isPullable(uri) }),
      update: (given) => this.#update(instance, given, () => ask({ kind: "executeUpdate" })),
      cancel: () => ask({ kind: "executeCancel" }),
      writeSetting: (setting) => ask({ kind: "writeSetting", setting }),
    });
  }

  async #update(instance: number, given: ExecuteArguments, ask: () => Promise<number>): Promise<number> {
    try {
      this.#ties.name(instance, decodeCompanions(given));
      return await ask();
    } catch (error) {
      if (error instanceof PeerError) return CODE.badRequest;
      throw error;
    }
  }

  // ---- what happens inside ----

  #portsOfMembers(): MemberPorts {
    return {
      ...this.#options,
      onReceived: (member, received) => this.#ties.take(member, received),
      companions: (member) => this.#ties.companionsOf(member.instance),
      onChanged: (member, resources, standing) => this.#changed(member, resources, standing),
    };
  }

  /** One step after the other, though the member may be further by now: each has its own meaning for the others. */
  #changed(member: Member, resources: readonly number[], standing: Standing): void {
    const { instance, seenState } = member;
    member.seenState = standing.state;
    if (resources.includes(ID.updateResult)) this.#ties.resultChanged(instance, standing);
    if (standing.state !== seenState) this.#ties.entered(instance, seenState, standing);
    this.#tellLinks();
    this.#options.onChanged(resources.map((resource) => at(instance, resource)));
    this.#options.onState(instance);
  }

  #tellLinks(): void {
    const instances = [...this.#members.keys()];
    this.#options.onChanged(
      instances.flatMap((instance) => [at(instance, ID.linkedInstances), at(instance, ID.conflictingInstances)]),
    );
  }
  #known(instances: readonly number[]): readonly number[] {
    for (const instance of instances) this.#member(instance);
    return instances;
  }

  #member(instance: number): Member {
    const member = this.#members.get(instance);
    if (member === undefined) throw new UsageError("NO_COMPONENT", `no component ${instance}`, { instance });
    return member;
  }
}

function at(instance: number, resource: number): Path {
  return [ADVANCED_FIRMWARE_UPDATE_ID, instance, resource];
}
