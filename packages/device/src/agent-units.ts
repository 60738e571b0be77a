/** Makes the units of an agent from its options. */
import { PROTOCOL_ON_WIRE } from "@airlift/protocol/lwm2m/objects/firmware-update";
import type { Path } from "@airlift/protocol/lwm2m/path";
import type { AgentEvent, AgentSettings } from "./agent-options.ts";
import type { AgentUnit } from "./agent-unit.ts";
import { loadComponent, type StoredComponent } from "./component-member.ts";
import { ComponentSet } from "./component-set.ts";
import type { PullDesk } from "./pull-desk.ts";
import { loadSoftware, type StoredSoftware } from "./software-member.ts";
import { SoftwareSet } from "./software-set.ts";
import { type PullScheme, parsePackageUri } from "./transfer/package-uri.ts";

export interface UnitPorts {
  readonly desk: PullDesk;
  /** These may have changed; observers hear of them in this order. */
  onChanged(paths: readonly Path[]): void;
  onRestarting(): void;
  tell(event: AgentEvent): void;
}

export interface AgentUnits {
  readonly components: ComponentSet;
  readonly software: SoftwareSet;
  readonly all: readonly AgentUnit[];
}

/** What the last run left of all units, read before anything else is begun. Rejects as their stores do. */
export async function loadUnits(settings: AgentSettings): Promise<(ports: UnitPorts) => AgentUnits> {
  const components = new Map<number, StoredComponent>();
  for (const [key, options] of Object.entries(settings.components ?? {})) {
    components.set(Number(key), await loadComponent(options));
  }
  const packages = new Map<number, StoredSoftware>();
  for (const [key, options] of Object.entries(settings.software ?? {})) {
    packages.set(Number(key), await loadSoftware(options));
  }
  return (ports) => {
    const set = createComponents(components, settings, ports);
    const software = createSoftware(packages, settings, ports);
    return { components: set, software, all: [set, software] };
  };
}

/** Whether `uri` can be parsed and is of a scheme that the device pulls. */
export function isPullable(uri: string, pullSchemes: readonly PullScheme[]): boolean {
  const parts = parsePackageUri(uri);
  return parts !== undefined && pullSchemes.includes(parts.scheme);
}

/** Values of the resource that lists the protocols. */
export function protocolsOf({ methods, pullSchemes }: Pick<AgentSettings, "methods" | "pullSchemes">): number[] {
  return methods === "push" ? [] : pullSchemes.map((scheme) => PROTOCOL_ON_WIRE[scheme]);
}

function createComponents(
  stored: ReadonlyMap<number, StoredComponent>,
  settings: AgentSettings,
  { desk, onChanged, onRestarting, tell }: UnitPorts,
): ComponentSet {
  const set: ComponentSet = new ComponentSet(stored, {
    desk,
    methods: settings.methods,
    protocols: protocolsOf(settings),
    ...limitsOf(settings),
    onChanged,
    onState: (component) => {
      const { state, result } = set.component(component);
      tell({ kind: "state", state, result, component });
    },
    onProgress: ({ instance }, storedBytes, sizeBytes) =>
      tell({ kind: "progress", storedBytes, sizeBytes, component: instance }),
    onPause: (_pull, reason, retryAfterMs) => tell({ kind: "pullPaused", reason, retryAfterMs }),
    onRestarting,
    onFailure: ({ instance }, what, error) => tell({ kind: "failure", what, error, component: instance }),
  });
  return set;
}

function createSoftware(
  stored: ReadonlyMap<number, StoredSoftware>,
  settings: AgentSettings,
  { desk, onChanged, onRestarting, tell }: UnitPorts,
): SoftwareSet {
  const set: SoftwareSet = new SoftwareSet(stored, {
    desk,
    ...limitsOf(settings),
    onChanged,
    onState: (software) => {
      const { state, result } = set.software(software);
      tell({ kind: "software", software, state, result });
    },
    onPause: (_pull, reason, retryAfterMs) => tell({ kind: "pullPaused", reason, retryAfterMs }),
    onRestarting,
    onFailure: ({ instance }, what, error) => tell({ kind: "failure", what, error, software: instance }),
  });
  return set;
}

/** What holds for each component and each package as it does for object 5. */
function limitsOf(settings: AgentSettings) {
  const { methods, pullSchemes, upgradeDelayMs, trialTimeoutMs, handlerTimeoutMs, upgradeTimeoutMs } = settings;
  return {
    acceptsPushes: methods !== "pull",
    upgradeDelayMs,
    trialTimeoutMs,
    handlerTimeoutMs,
    upgradeTimeoutMs,
    isPullable: (uri: string): boolean => methods !== "push" && isPullable(uri, pullSchemes),
  };
}
