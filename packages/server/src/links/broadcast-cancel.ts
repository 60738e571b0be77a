/** Ends updates and broadcasts before their time: devices are told, and what is for nobody any more leaves the air. */
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import type { Gateway, MeshSession } from "@airlift/protocol/api/mesh";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { NewOrder } from "../store/gateway-store.ts";
import type { MeshReport, MeshUpdate } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import { troubleOf } from "./broadcast-trouble.ts";
import { imageNameOf, wordOrders, wordsToDevices, wordToGroup } from "./broadcast-words.ts";

export interface CancelOptions {
  readonly stores: Pick<Stores, "mesh">;
  readonly utcMs: () => number;
  readonly log: Logger;
}

/** How long a cancel may wait for the law: longer than its window of an hour. */
const CANCEL_PATIENCE_MS = 2 * 3_600_000;

type OpenSession = MeshSession & { readonly updateAtMs: number };

export class BroadcastCancel {
  readonly #options: CancelOptions;

  constructor(options: CancelOptions) {
    this.#options = options;
  }

  /**
   * These end at once; devices whose broadcast is under way are told, and a broadcast that is for nobody any more leaves the air.
   *
   * @param why "by an operator". Empty when somebody else says it.
   */
  async cancel(updates: readonly MeshUpdate[], why = ""): Promise<readonly MeshReport[]> {
    const { mesh } = this.#options.stores;
    const open = new Map((await mesh.sessions.open()).map((session) => [session.id, session]));
    const gateways = new Map((await mesh.gateways.list()).map((gateway) => [gateway.id, gateway]));
    const orders: NewOrder[] = [];
    for (const update of updates) {
      const session = open.get(update.sessionId ?? "");
      const gateway = gateways.get(session?.gatewayId ?? "");
      if (session !== undefined && gateway !== undefined)
        orders.push(...(await this.#tellDevice(update, { session, gateway })));
    }
    const changes = updates
      .filter(({ state }) => state !== "applying" && state !== "confirming")
      .map(({ updateId, sessionId }) => {
        const what = open.has(sessionId ?? "") ? "the device is told to stop" : "the device is not told to install";
        const sentence = `cancelled: ${why === "" ? what : `${why}, ${what}`}`;
        return { updateId, state: "cancelled" as const, failure: null, sentence };
      });
    const reports = await mesh.sessions.record({ changes, orders });
    for (const session of await mesh.sessions.open()) if (await mesh.isEmpty(session.id)) await this.#tryStop(session);
    return reports;
  }

  /** A campaign was stopped: nothing of it is on air a second later, whether or not its devices have been told one by one. */
  async silence(campaignId: string): Promise<void> {
    try {
      const open = await this.#options.stores.mesh.sessions.open();
      for (const session of open) if (session.campaignId === campaignId) await this.#tryStop(session);
    } catch (error) {
      this.#options.log.error(
        { err: error, campaignId },
        "a campaign's broadcasts could not be stopped; they are with its devices' cancels",
      );
    }
  }

  async #tellDevice(
    { endpoint, imageId }: MeshUpdate,
    { session, gateway }: { readonly session: OpenSession; readonly gateway: Gateway },
  ): Promise<NewOrder[]> {
    const { stores, utcMs } = this.#options;
    const release = await stores.mesh.releaseOf(imageId);
    if (release === undefined) return [];
    const cancel = { updateAtMs: session.updateAtMs, name: imageNameOf(release) };
    const commands = await wordsToDevices(stores, [endpoint], { kind: "cancel", cancel });
    const fromMs = utcMs();
    return wordOrders(gateway, commands, { fromMs, untilMs: fromMs + CANCEL_PATIENCE_MS });
  }

  /** Each by itself: one that cannot be stopped keeps no other one on air. */
  async #tryStop(session: OpenSession): Promise<void> {
    try {
      await this.#stop(session);
    } catch (error) {
      const { id: sessionId, gatewayId } = session;
      if (error instanceof EnvironmentError && troubleOf(error) === undefined) throw error;
      this.#options.log.error({ err: error, sessionId, gatewayId }, "a broadcast could not be stopped");
    }
  }

  async #stop(session: OpenSession): Promise<void> {
    const { id, gatewayId } = session;
    const { stores, utcMs } = this.#options;
    const { mesh } = stores;
    const gateway = (await mesh.gateways.list()).find((one) => one.id === gatewayId);
    // One that was removed hears no orders: that its broadcasts are over is found by whoever looks after the left behind.
    if (gateway === undefined) return;
    const { rateBps } = gateway;
    const commands = await this.#wordsTo(session);
    const untilMs = utcMs() + CANCEL_PATIENCE_MS;
    const content = {
      order: { kind: "cancel" as const, sessionId: id, rateBps, ttl: 0, commands, untilMs },
      channelPlace: null,
    };
    const sentence = `broadcast ${id} at ${gatewayId} is stopped`;
    await mesh.sessions.record({
      orders: [{ gatewayId, content, sessionId: id }],
      ended: [{ id, outcome: "cancelled", detail: "stopped by an operator" }],
      events: [{ kind: "mesh.session", sentence, facts: { sessionId: id, gatewayId, outcome: "cancelled" } }],
    });
  }

  /** The group is told to forget it. Whether or not that can be said, the broadcast ends. */
  async #wordsTo({ groupId, imageId, updateAtMs }: OpenSession): Promise<SealedCommand[]> {
    const { stores, log } = this.#options;
    const release = await stores.mesh.releaseOf(imageId);
    if (release === undefined) return [];
    const cancel = { updateAtMs, name: imageNameOf(release) };
    try {
      return [await wordToGroup(stores, groupId, { kind: "cancel", cancel })];
    } catch (error) {
      const reason = troubleOf(error);
      if (reason === undefined) throw error;
      log.warn({ groupId, reason }, "a group could not be told that its broadcast is cancelled");
      return [];
    }
  }
}
