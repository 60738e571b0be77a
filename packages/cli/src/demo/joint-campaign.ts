/** One campaign for all: the devices that are asked one by one, and those that hear one broadcast. */
import { setTimeout as sleep } from "node:timers/promises";
import { Campaign } from "@airlift/protocol/api/campaign";
import { MeshSession } from "@airlift/protocol/api/mesh";
import { type Image, Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { type Client, postOf } from "../client.ts";

export interface JointCampaignOptions {
  readonly client: Client;
  readonly image: Image;
  /** Called about twice a second with all updates as they are now. */
  readonly onProgress: (updates: readonly Update[]) => void;
  readonly limitMs: number;
}

export interface JointOutcome {
  readonly campaign: Campaign;
  /** By endpoint; of several attempts the newest. */
  readonly updates: ReadonlyMap<string, Update>;
  readonly sessions: readonly MeshSession[];
}

/** Begins it and stays until it has ended. @throws {EnvironmentError} CAMPAIGN_TOO_SLOW */
export async function runJointCampaign({
  client,
  image,
  onProgress,
  limitMs,
}: JointCampaignOptions): Promise<JointOutcome> {
  const spec = { name: `${image.version} for all`, image: image.id, targets: { query: `model==${image.model}` } };
  const { id } = await client.call("campaigns", Campaign, postOf(spec));
  for (const command of ["submit", "start"])
    await client.call(`campaigns/${id}/${command}`, Campaign, { method: "POST" });
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    const campaign = await client.call(`campaigns/${id}`, Campaign);
    const updates = await client.all(`updates?imageId=${image.id}`, Update);
    onProgress(updates);
    if (campaign.state === "finished" || campaign.state === "stopped" || campaign.state === "aborted") {
      const sessions = await client.all(`mesh/sessions?campaignId=${id}`, MeshSession);
      // The list begins with the newest.
      const newest = new Map(updates.toReversed().map((update) => [update.endpoint, update]));
      return { campaign, updates: newest, sessions };
    }
    if (performance.now() > deadlineMs) {
      const open = updates.filter(({ finishedAt }) => finishedAt === null);
      const waiting = open.map(({ endpoint, sentence }) => `${endpoint}: ${sentence}`);
      throw new EnvironmentError("CAMPAIGN_TOO_SLOW", `not done after ${limitMs / 1000} s\n${waiting.join("\n")}`);
    }
    await sleep(500);
  }
}
