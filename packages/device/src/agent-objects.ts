/** The objects of an update agent: Server (1), Device (3) and Firmware Update (5). */
import type { NotificationAttributes } from "@airlift/protocol/lwm2m/attributes";
import { SERVER_ID } from "@airlift/protocol/lwm2m/objects/server";
import { type Account, DEFAULT_SHORT_SERVER_ID } from "./account.ts";
import { type AgentSettings, bindingOf } from "./agent-options.ts";
import { isPullable, protocolsOf } from "./agent-units.ts";
import { createDeviceObject } from "./objects/device-object.ts";
import { createFirmwareObject } from "./objects/firmware-object.ts";
import { createTree, type DeviceObject, type ObjectTree, type TreeObject } from "./objects/resource.ts";
import { createServerObject } from "./objects/server-object.ts";
import { CODE_OF_ANSWER, type PackagePushes } from "./package-pushes.ts";
import type { UpdateRequest, UpdateRunner } from "./update-runner.ts";

export interface AgentObjectPorts {
  readonly settings: AgentSettings;
  readonly runner: UpdateRunner;
  readonly pushes: PackagePushes;
  /** What the device has beside these. */
  readonly others: readonly DeviceObject[];
  account(): Account | undefined;
  /** Asks to be bootstrapped anew; absent: nobody could be asked. */
  readonly bootstrap: (() => void) | undefined;
  lifetimeS(): number;
  /** Refreshes the registration, with another lifetime if one is given. */
  refresh(lifetimeS?: number): void;
  restart(): void;
  /** The server mutes reports by Send, or lets them through again. */
  muteSend(isMuted: boolean): void;
}

export interface AgentObjects {
  readonly tree: ObjectTree;
  /** Attributes of observations that have none of their own. */
  defaults(): NotificationAttributes;
}

export function createAgentObjects(ports: AgentObjectPorts): AgentObjects {
  const { identity, queueMode, reboot, lwm2mVersion, reportBySend } = ports.settings;
  const binding = (): string => {
    const transport = bindingOf(ports.account());
    return queueMode && lwm2mVersion === "1.0" ? `${transport}Q` : transport;
  };
  const server = createServerObject({
    lifetimeS: () => ports.lifetimeS(),
    setLifetime: (lifetimeS) => ports.refresh(lifetimeS),
    refresh: () => ports.refresh(),
    binding,
    shortServerId: () => ports.account()?.shortServerId ?? DEFAULT_SHORT_SERVER_ID,
    ...(ports.bootstrap && { bootstrap: ports.bootstrap }),
    ...(reportBySend && { onMuteSend: (isMuted: boolean) => ports.muteSend(isMuted) }),
  });
  const restart = reboot && ((): void => ports.restart());
  const supported = lwm2mVersion === "1.0" ? binding() : "UT";
  const device = createDeviceObject({ identity, utcMs: Date.now, binding: supported, reboot: restart });
  const firmware = ports.settings.hasFirmware ? [firmwareObject(ports)] : [];
  const tree = createTree([server.object, device, ...firmware, ...ports.others]);
  // Its number is what the bootstrap server has chosen.
  const instances = () => new Map([[ports.account()?.serverInstance ?? 0, server.object]]);
  const placed: TreeObject = {
    id: SERVER_ID,
    version: server.object.version,
    get instances() {
      return instances();
    },
  };
  return { tree: new Map([...tree, [SERVER_ID, placed]]), defaults: server.defaults };
}

function firmwareObject({ settings, runner, pushes }: AgentObjectPorts) {
  const { handlers, methods, pullSchemes, firmwareObjectVersion } = settings;
  const ask = async (request: UpdateRequest): Promise<number> => CODE_OF_ANSWER[await runner.request(request)];
  const pulls = methods !== "push";
  return createFirmwareObject(
    {
      facts: () => runner.facts,
      packageName: () => handlers.packageName?.(),
      packageVersion: () => handlers.packageVersion?.(),
      writePackage: (bytes) => pushes.whole(bytes),
      writeUri: (uri) => ask({ kind: "writeUri", uri, supported: pulls && isPullable(uri, pullSchemes) }),
      update: () => ask({ kind: "executeUpdate" }),
      cancel: () => ask({ kind: "executeCancel" }),
      writeSetting: (setting) => ask({ kind: "writeSetting", setting }),
      methods,
      protocols: protocolsOf(settings),
    },
    firmwareObjectVersion,
  );
}
