/** What an agent runs beside object 5: the components of object 33629, the packages of object 9. */
import type { Path } from "@airlift/protocol/lwm2m/path";
import type { DeviceObject } from "./objects/resource.ts";
import type { PackagePushes } from "./package-pushes.ts";

export interface AgentUnit {
  objects(): DeviceObject[];
  /** The resources that take packages. */
  readonly pushes: readonly PackagePushes[];
  /** Takes up what the last run left. Once. */
  start(): void;
  /** The server has been reached: what is on trial has proved itself. */
  registered(): void;
  /** Settles when nothing is on trial any more; requests of the server wait for it. */
  decided(): Promise<void>;
  /** A server has read what lies at `path`. */
  hasRead(path: Path): void;
  /** Nothing is called or saved after this. */
  stop(): void;
}
