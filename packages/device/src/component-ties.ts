/** What happens to several components at once: a package that holds them, an Update that installs them together. */
import type { FirmwareState } from "@airlift/protocol/update/firmware-update";
import type { Member } from "./component-member.ts";
import type { ReceivedPackage } from "./component-ports.ts";
import { HandlerError } from "./ports.ts";
import type { ComponentLinks } from "./update/component-links.ts";
import { eventForCompanion } from "./update/component-moves.ts";
import type { Standing } from "./update/messages.ts";

/** One Update, from its beginning until all have its outcome. */
interface Joint {
  readonly companions: readonly number[];
  readonly obstacles: readonly number[];
}

export class ComponentTies {
  readonly #members: ReadonlyMap<number, Member>;
  readonly #links: ComponentLinks;
  /** Whom the last Update of a component named; nothing when it left that to the links. */
  readonly #named = new Map<number, readonly number[]>();
  readonly #joints = new Map<number, Joint>();
  /** Components whose update another one leads. */
  readonly #led = new Set<number>();
  /** Who else is in the package that a component has just received. */
  readonly #received = new Map<number, readonly number[]>();

  constructor(members: ReadonlyMap<number, Member>, links: ComponentLinks) {
    this.#members = members;
    this.#links = links;
  }

  /** Update is about to be asked for. */
  name(instance: number, companions: readonly number[] | "linked"): void {
    if (this.#stateOf(instance) !== "downloaded") return;
    if (companions === "linked") this.#named.delete(instance);
    else this.#named.set(instance, othersThan(instance, companions));
  }

  /**
   * Object 33629 /3: a package for several is kept only when none of the others is under way.
   *
   * @throws {HandlerError} conflictingState
   */
  async take({ instance, options }: Member, received: ReceivedPackage | undefined): Promise<void> {
    const others = othersThan(instance, received?.components ?? []);
    const busy = this.#busy(others);
    this.#received.set(instance, others);
    if (busy.length === 0) return;
    this.#received.delete(instance);
    this.#report(instance, busy);
    const cause = await Promise.resolve(options.handlers.reset()).catch((error: unknown) => error);
    const message = `the package also holds ${busy.join(", ")}, which are under way`;
    throw new HandlerError("conflictingState", message, { cause });
  }

  /**
   * Whom `performUpgrade` of `instance` has to install too.
   *
   * @throws {HandlerError} dependencyError when one of them is not Downloaded, or another one is needed.
   */
  companionsOf(instance: number): readonly number[] {
    const { companions, obstacles } = this.#joints.get(instance) ?? { companions: [], obstacles: [] };
    if (obstacles.length === 0) return companions;
    this.#report(instance, obstacles);
    throw new HandlerError("dependencyError", `${obstacles.join(", ")} would have to be updated too`);
  }

  resultChanged(instance: number, { result }: Standing): void {
    const isDetailed = result === "conflictingState" || result === "dependencyError";
    if (!isDetailed) this.#links.report(instance, []);
  }

  /** A member came from the state `before` to another one. */
  entered(instance: number, before: FirmwareState, standing: Standing): void {
    const { state } = standing;
    if (before === "updating") this.#end(instance, standing);
    if (state === "updating") this.#begin(instance);
    else if (state === "downloading") this.#links.begin(instance);
    else if (state === "idle") this.#links.unlink(instance);
    else if (before === "downloading") this.#share(instance);
  }

  /** What came with the package becomes Downloaded too, unless one has begun something else in between. */
  #share(instance: number): void {
    const others = this.#received.get(instance) ?? [];
    this.#received.delete(instance);
    const busy = this.#busy(others);
    if (busy.length > 0) {
      this.#report(instance, busy);
      this.#members.get(instance)?.runner.feed({ kind: "setResult", result: "conflictingState" });
      return;
    }
    for (const other of others) this.#members.get(other)?.runner.feed({ kind: "moved", event: "sharedPackage" });
    if (others.length > 0) this.#links.link([instance, ...others]);
  }

  #begin(instance: number): void {
    if (this.#led.has(instance)) return;
    const companions = this.#named.get(instance) ?? this.#links.companions(instance);
    const obstacles = this.#links.obstacles(instance, companions);
    this.#joints.set(instance, { companions, obstacles });
    if (obstacles.length > 0) return;
    for (const other of companions) {
      this.#led.add(other);
      this.#members.get(other)?.runner.feed({ kind: "moved", event: "updatedAlong" });
    }
  }

  #end(instance: number, ended: Standing): void {
    this.#led.delete(instance);
    const joint = this.#joints.get(instance);
    this.#joints.delete(instance);
    if (ended.result !== "deferred") this.#named.delete(instance);
    if (joint === undefined) return;
    for (const other of joint.companions) {
      if (!this.#led.has(other) || this.#stateOf(other) !== "updating") continue;
      this.#members.get(other)?.runner.feed({ kind: "moved", event: eventForCompanion(ended) });
    }
  }

  #busy(instances: readonly number[]): number[] {
    return instances.filter((instance) => this.#stateOf(instance) !== "idle");
  }

  /** Instances that do not exist cannot be pointed at. */
  #report(instance: number, others: readonly number[]): void {
    this.#links.report(
      instance,
      others.filter((other) => this.#members.has(other)),
    );
  }

  #stateOf(instance: number): FirmwareState | undefined {
    return this.#members.get(instance)?.runner.facts.state;
  }
}

function othersThan(instance: number, instances: readonly number[]): number[] {
  return instances.filter((other) => other !== instance);
}
