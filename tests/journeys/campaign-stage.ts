/** Two servers on one database, hundreds of simulated devices before both, and what an operator asks of a campaign. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { postOf, type Schema } from "@airlift/cli/client";
import { uploadImage } from "@airlift/cli/upload";
import { Campaign, CampaignTarget, type NewCampaign } from "@airlift/protocol/api/campaign";
import { Device, type Image, pageOf, Update } from "@airlift/protocol/api/schemas";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { parseMcubootVersion } from "@airlift/protocol/image/version";
import { imageCrypto } from "@airlift/runtime/crypto";
import { type ScratchDatabase, startScratchDatabase } from "@airlift/server/store/scratch-database";
import { Stage, until } from "./stage.ts";

const Anything = { safeParse: (data: unknown) => ({ success: true as const, data }) };

export class CampaignStage {
  readonly a: Stage;
  readonly b: Stage;
  readonly database: ScratchDatabase;

  private constructor(a: Stage, b: Stage, database: ScratchDatabase) {
    this.a = a;
    this.b = b;
    this.database = database;
  }

  /** @param settings PostgreSQL's; default: as `startScratchDatabase`. */
  static async open(settings?: readonly string[]): Promise<CampaignStage> {
    const database = await startScratchDatabase(settings);
    const shared = ["--image-dir", join(database.folder, "images")];
    shared.push("--master-key-file", join(database.folder, "master.key"), "--database-url", database.url);
    const a = await Stage.open(["--no-auth", "--log-level", "warn", ...shared]);
    const b = await Stage.open(["--no-auth", "--log-level", "warn", ...shared]);
    return new CampaignStage(a, b, database);
  }

  /** A fleet with keys of its own, over DTLS. */
  async startSecureFleet(count: number, prefix: string, ...more: readonly string[]): Promise<void> {
    const keys = Array.from({ length: count }, (_, i) => [`${prefix}-${i + 1}`, randomBytes(16).toString("hex")]);
    const items = keys.map(([endpoint, key]) => ({ endpoint, credential: { kind: "psk", identity: endpoint, key } }));
    await this.a.client.call("credentials", Anything, postOf({ items }));
    const file = this.a.file("keys", Buffer.from(keys.map(([name, key]) => `${name} ${name} ${key}\n`).join("")));
    const server = `coaps://127.0.0.1:${this.a.coapPort + 1}`;
    this.a.startFleet(count, "--server", server, "--endpoint", prefix, "--credentials", file, ...more);
  }

  async addImage(version: string, sizeBytes = 20_000): Promise<Image> {
    const octets = makeMcubootImage(
      randomBytes(sizeBytes),
      { version: parseMcubootVersion(version) },
      {
        crypto: imageCrypto,
      },
    );
    const name = { manufacturer: "Airlift", model: "virtual", version, hardware: [] };
    return await uploadImage(this.a.client, new Blob([new Uint8Array(octets)]), { name });
  }

  async create(spec: NewCampaign): Promise<Campaign> {
    return await this.a.client.call("campaigns", Campaign, postOf(spec));
  }

  async tell(id: string, command: string): Promise<Campaign> {
    return await this.a.client.call(`campaigns/${id}/${command}`, Campaign, { method: "POST" });
  }

  async campaign(id: string): Promise<Campaign> {
    return await this.a.client.call(`campaigns/${id}`, Campaign);
  }

  async untilState(id: string, ...states: Campaign["state"][]): Promise<Campaign> {
    await until(
      `campaign ${id} is ${states.join(" or ")}`,
      async () => {
        const { state } = await this.campaign(id);
        return states.includes(state);
      },
      4,
    );
    return await this.campaign(id);
  }

  targets(id: string): Promise<CampaignTarget[]> {
    return this.#all(`campaigns/${id}/targets`, pageOf(CampaignTarget));
  }

  updates(): Promise<Update[]> {
    return this.#all("updates", pageOf(Update));
  }

  devices(): Promise<Device[]> {
    return this.#all("devices", pageOf(Device));
  }

  async close(): Promise<void> {
    await Promise.all([this.a.close(), this.b.close()]);
    await this.database.stop();
  }

  async #all<Item>(path: string, schema: Schema<{ items: Item[]; next: string | null }>): Promise<Item[]> {
    const items: Item[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page: { items: Item[]; next: string | null } = await this.a.client.call(
        `${path}?limit=1000${more}`,
        schema,
      );
      items.push(...page.items);
      cursor = page.next;
    }
    return items;
  }
}
