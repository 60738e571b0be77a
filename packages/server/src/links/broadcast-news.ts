/** Says of broadcasts that are under way what their devices cannot: that they are on air, or that the law holds them up. */
import type { Gateway, MeshSession } from "@airlift/protocol/api/mesh";
import type { MeshChange, MeshReport } from "../store/mesh-updates.ts";
import type { Stores } from "../store/ports.ts";
import type { AirtimeRooms } from "./airtime-rooms.ts";

export class BroadcastNews {
  readonly #stores: Pick<Stores, "mesh">;
  readonly #rooms: AirtimeRooms;
  /** What was said of each broadcast; undefined as long as it has not begun. */
  readonly #said = new Map<string, string>();

  constructor(stores: Pick<Stores, "mesh">, rooms: AirtimeRooms) {
    this.#stores = stores;
    this.#rooms = rooms;
  }

  /** Once for each change: its devices do not wait for its beginning any more. */
  async turn(): Promise<readonly MeshReport[]> {
    const { mesh } = this.#stores;
    const open = await mesh.sessions.open();
    for (const id of this.#said.keys()) if (open.every((session) => session.id !== id)) this.#said.delete(id);
    if (open.length === 0) return [];
    const gateways = new Map((await mesh.gateways.list()).map((gateway) => [gateway.id, gateway]));
    const news = new Map<string, string>();
    for (const session of open) {
      const text = this.#newsOf(session, gateways.get(session.gatewayId));
      if (text !== undefined && text !== this.#said.get(session.id)) news.set(session.id, text);
    }
    if (news.size === 0) return [];
    const changes = (await mesh.updatesIn("waiting", "transferring")).flatMap((update): MeshChange[] => {
      const { updateId, state, sessionId } = update;
      const text = news.get(sessionId ?? "");
      // What a device said of itself says more than that its broadcast has begun.
      if (text === undefined) return [];
      const hasBegun = text.endsWith(ON_AIR);
      if (hasBegun && state === "transferring" && !this.#said.has(sessionId ?? "")) return [];
      const isQuiet = hasBegun && state === "waiting";
      const sentence = `${state}: ${text}${isQuiet ? "; the device speaks when it is asked" : ""}`;
      return [{ updateId, state, failure: null, sentence }];
    });
    const reports = await mesh.sessions.record({ changes });
    for (const [id, text] of news) this.#said.set(id, text);
    return reports;
  }

  #newsOf(session: MeshSession, gateway: Gateway | undefined): string | undefined {
    const spent = gateway && this.#rooms.waitOf(gateway, session);
    if (spent !== undefined) return spent;
    return isOnAir(session.progress?.state) ? `broadcast ${session.id} by ${session.gatewayId} ${ON_AIR}` : undefined;
  }
}

const ON_AIR = "is on air";

const isOnAir = (state: string | undefined): boolean =>
  state === "streaming" || state === "polling" || state === "repairing" || state === "pulling";
