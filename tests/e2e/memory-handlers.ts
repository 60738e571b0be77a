/** Handlers that keep the image in memory, and a store that outlives an agent. */
import {
  type DownloadOrigin,
  HandlerError,
  type PersistedUpdate,
  type UpdateHandlers,
  type UpdateStore,
} from "@airlift/device/ports";
import { concat } from "@airlift/protocol/lib/bytes";

export interface MemoryDevice {
  readonly handlers: UpdateHandlers;
  readonly store: UpdateStore;
  readonly calls: string[];
  /** What has been written since the last openStream. */
  image(): Uint8Array;
  origin: DownloadOrigin;
  /** What the store holds. */
  persisted: PersistedUpdate;
}

/** @param refuses Images that begin with this octet fail their verification. */
export function createMemoryDevice(refuses = 0xff): MemoryDevice {
  let parts: Uint8Array[] = [];
  const image = (): Uint8Array => concat(parts);
  const device: MemoryDevice = {
    calls: [],
    image,
    origin: {},
    persisted: { state: "idle", result: "initial" },
    handlers: {
      openStream: (origin) => {
        device.calls.push("openStream");
        device.origin = origin;
        parts = [];
      },
      write: (bytes) => {
        parts.push(Uint8Array.from(bytes));
      },
      finish: () => {
        device.calls.push("finish");
        if (image()[0] === refuses) throw new HandlerError("integrityFailed", "not what it claims to be");
      },
      reset: () => {
        device.calls.push("reset");
        parts = [];
      },
      performUpgrade: () => {
        device.calls.push("performUpgrade");
        return "pending";
      },
      packageVersion: () => "2.0.0",
    },
    store: {
      load: async () => {
        const { persisted } = device;
        if (persisted.state !== "downloading") return persisted;
        const { etag } = device.origin;
        return { ...persisted, offset: image().length, ...(etag && { etag }) };
      },
      save: async (update) => {
        device.persisted = update;
      },
    },
  };
  return device;
}
