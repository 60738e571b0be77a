/** LwM2M Server, object 1: the registration that the server may tune. */

import { CODE } from "@airlift/protocol/coap/codes";
import type { NotificationAttributes } from "@airlift/protocol/lwm2m/attributes";
import { SERVER_ID, SERVER_RESOURCES } from "@airlift/protocol/lwm2m/objects/server";
import { MAX_LIFETIME_S } from "@airlift/protocol/lwm2m/registration";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";
import type { DeviceObject, Resource } from "./resource.ts";

export interface ServerObjectPorts {
  lifetimeS(): number;
  /** The server wrote another lifetime: the registration is refreshed with it. */
  setLifetime(lifetimeS: number): void;
  /** Refresh the registration now. */
  refresh(): void;
  /** `U`, `UQ` or `T`. */
  binding(): string;
  /** 1 … 65534. */
  shortServerId(): number;
  /** Asks the bootstrap server for a new configuration; absent: there is none. */
  bootstrap?(): void;
  /** The device sends reports, and the server may mute them; absent: it sends none. */
  onMuteSend?(isMuted: boolean): void;
}

/** Object 1, and the periods that hold for observations that have none of their own. */
export interface ServerObject {
  readonly object: DeviceObject;
  defaults(): NotificationAttributes;
}

export function createServerObject(ports: ServerObjectPorts): ServerObject {
  let pmin = 0;
  let pmax = 0;
  let storesNotifications = false;
  const period = (read: () => number, set: (seconds: number) => void): Resource => ({
    read,
    write: (value) => {
      if (typeof value !== "number" || value < 0) return CODE.badRequest;
      set(value);
      return CODE.changed;
    },
  });
  const resources: [number, Resource][] = [
    [SERVER_RESOURCES.shortServerId, { read: () => ports.shortServerId() }],
    [SERVER_RESOURCES.lifetime, { read: () => ports.lifetimeS(), write: (value) => writeLifetime(ports, value) }],
    [
      SERVER_RESOURCES.defaultMinimumPeriod,
      period(
        () => pmin,
        (seconds) => (pmin = seconds),
      ),
    ],
    [
      SERVER_RESOURCES.defaultMaximumPeriod,
      period(
        () => pmax,
        (seconds) => (pmax = seconds),
      ),
    ],
    [
      SERVER_RESOURCES.notificationStoring,
      {
        read: () => storesNotifications,
        write: (value) => {
          storesNotifications = value === true;
          return CODE.changed;
        },
      },
    ],
    [SERVER_RESOURCES.binding, { read: () => ports.binding() }],
    [SERVER_RESOURCES.registrationUpdateTrigger, { execute: () => refresh(ports) }],
  ];
  if (ports.bootstrap) resources.push([SERVER_RESOURCES.bootstrapRequestTrigger, { execute: () => bootstrap(ports) }]);
  if (ports.onMuteSend) resources.push([SERVER_RESOURCES.muteSend, muteSend(ports.onMuteSend)]);
  return {
    object: { id: SERVER_ID, resources: new Map(resources) },
    defaults: () => ({ ...(pmin > 0 ? { pmin } : {}), ...(pmax > 0 ? { pmax } : {}) }),
  };
}

function muteSend(tell: (isMuted: boolean) => void): Resource {
  let isMuted = false;
  return {
    read: () => isMuted,
    write: (value) => {
      isMuted = value === true;
      tell(isMuted);
      return CODE.changed;
    },
  };
}

function writeLifetime(ports: ServerObjectPorts, value: ResourceValue): number {
  if (typeof value !== "number" || value < 1 || value > MAX_LIFETIME_S) return CODE.badRequest;
  ports.setLifetime(value);
  return CODE.changed;
}

function refresh(ports: ServerObjectPorts): number {
  ports.refresh();
  return CODE.changed;
}

/** The session with this server ends with it; whoever is asked lets the answer leave first. */
function bootstrap(ports: ServerObjectPorts): number {
  ports.bootstrap?.();
  return CODE.changed;
}
