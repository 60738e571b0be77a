/** A server on a scratch database with one image, and updates that are waited for. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import type { Update } from "@airlift/protocol/api/schemas";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { DEFAULT_UPDATE_POLICY } from "@airlift/server/delivery/policy";
import { Lwm2mServer, type Lwm2mServerOptions } from "@airlift/server/links/lwm2m-server";
import type { UpdateOrder } from "@airlift/server/store/ports";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { EventWatch } from "../event-watch.ts";

export interface UpdateStage extends ScratchStores {
  readonly server: Lwm2mServer;
  /** The image's octets; its version is 1.1.0. */
  readonly image: Buffer;
  readonly imageId: string;
  update(endpoint: string, order?: Partial<UpdateOrder>): Promise<Update>;
  /** The update when it has ended, or is in `state`. */
  reaches(update: Update, state?: Update["state"]): Promise<Update>;
}

/** Devices are asked so often that no test waits for a notification that was lost. */
const POLICY = { ...DEFAULT_UPDATE_POLICY, pollIntervalMs: 100, retryDelayMs: 100 };

/** @param doors Others than plain CoAP over UDP, and what they need. */
export async function openUpdateStage(
  doors: (scratch: ScratchStores) => Partial<Lwm2mServerOptions> = () => ({}),
): Promise<UpdateStage> {
  const scratch = await openScratchStores();
  const { stores } = scratch;
  const watch = new EventWatch();
  watch.listen(stores.events);
  const server = await Lwm2mServer.open({
    stores,
    log: watch.log,
    udp: { host: "127.0.0.1", port: 0 },
    publicHost: null,
    httpPort: () => 0,
    policy: POLICY,
    ...doors(scratch),
  });
  const image = randomBytes(100_000);
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  const imageId = (await stores.images.add(Readable.from([image]), name)).image.id;
  return {
    ...scratch,
    server,
    image,
    imageId,
    async update(endpoint, order = {}) {
      const update = await stores.updates.create({ endpoint, imageId, by: "auto", apply: true, ...order });
      await server.engine.start(update);
      return update;
    },
    reaches: (update, state) =>
      watch.until(`${update.endpoint} ${state ?? "at its end"}`, async () => {
        const now = await stores.updates.get(update.id);
        return now !== undefined && (now.state === state || isFinalUpdateState(now.state)) ? now : undefined;
      }),
    async close() {
      await server.close();
      await scratch.close();
    },
  };
}
