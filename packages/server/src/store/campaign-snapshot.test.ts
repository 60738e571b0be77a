import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { sql } from "kysely";
import { CampaignPlanner } from "../campaign/plan.ts";
import { compilePolicy } from "../campaign/policy.ts";
import { openDatabase } from "./database.ts";
import type { PlannedTarget } from "./planned-devices.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "./scratch-stores.ts";

const NOW_MS = Date.UTC(2026, 5, 1, 12);
const IMAGE = {
  id: "00000000000000aa",
  manufacturer: "Acme",
  model: "pump",
  version: "2.0.0",
  hardware: ["A", "B"],
  sizeBytes: 1,
};

/** Every kind of device that is left out, and some that are not, in any combination. */
const FLEET = Array.from({ length: 360 }, (_, n) => ({
  endpoint: `device-${`${n}`.padStart(3, "0")}`,
  manufacturer: ["Acme", "Acme", null, "O'Hara, (x)"][n % 4] ?? null,
  model: ["pump", "pump", "valve", null][Math.floor(n / 4) % 4] ?? null,
  version: ["1.0.0", "2.0", "v2.0.0", "3.0.0", "1.5.0", null][n % 6] ?? null,
  hardware: ["A", null, "C"][n % 5 === 0 ? 2 : n % 2] ?? null,
  left: [[], [], ["1.0.0", "2.0"], ["1.9"]][n % 7 === 0 ? 2 : n % 2] ?? [],
  timezone: [null, "Europe/Oslo", "Mars/Olympus"][n % 3] ?? null,
}));

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
  const { devices, inventory } = scratch.stores;
  devices.queueSave(FLEET.map(({ endpoint }) => exampleRegistration(endpoint)));
  for (const { left: _, ...device } of FLEET) devices.queueReport(device);
  await devices.flush();
  await inventory.importLines(FLEET.map(({ endpoint }, n) => ({ endpoint, tags: n % 9 === 0 ? ["canary"] : [] })));
  const { tables, close } = openDatabase(scratch.database.url);
  for (const { endpoint, left } of FLEET)
    await sql`update devices set left_versions = ${left}::text[] where endpoint = ${endpoint}`.execute(tables);
  await close();
});
after(() => scratch.close());

const CASES: readonly [string, Partial<NewCampaign>][] = [
  ["everything by default", {}],
  ["downgrades allowed", { downgrade: true }],
  [
    "a stepping stone for some",
    { from: [{ atLeast: "1.5.0" }], steppingStones: [{ image: "00000000000000bb", from: [{ below: "1.2" }] }] },
  ],
  ["no way from the older", { from: [{ atLeast: "1.5.0" }] }],
  ["a window that never opens", { windows: { download: [{ cron: "0 0 30 2 *", for: "1h" }] } }],
  [
    "a window at night",
    {
      windows: { download: [{ cron: "0 22 * * *", for: "2h" }], blackout: [{ from: "2026-06-01", to: "2026-06-09" }] },
    },
  ],
];

async function devicesOf(planned: AsyncIterable<PlannedTarget>, add: (device: PlannedTarget) => void): Promise<void> {
  for await (const device of planned) add(device);
}

for (const [name, changes] of CASES)
  test(`plan, draft and the draft's plan have the same devices: ${name}`, async () => {
    const waves = [
      { name: "canaries", devices: { query: "tags==canary" } },
      { name: "few", devices: { count: 7 } },
      { name: "tenth", devices: { percent: 10 } },
      { name: "rest", devices: "remaining" as const },
    ];
    const spec = CampaignSpec.parse({
      name,
      image: IMAGE.id,
      targets: { query: "endpoint!=device-007" },
      waves,
      ...changes,
    });
    const policy = compilePolicy(
      spec,
      (id) => ({ ...IMAGE, id, version: id.endsWith("b") ? "1.6.0" : "2.0.0" }),
      offsetAt,
    );
    const { campaigns } = scratch.stores;
    const before = new CampaignPlanner({ spec, policy, offsetAt, utcMs: NOW_MS });
    await devicesOf(campaigns.planned({ query: policy.query }, NOW_MS), (device) => before.add(device));
    const plan = before.finish();
    const { campaign } = await campaigns.create({ spec, policy, author: { name: "ann" } }, NOW_MS);
    assert.deepEqual(
      campaign.waves.map(({ counts }) => counts.total),
      plan.waves.map(({ count }) => count),
    );
    const own = new CampaignPlanner({ spec, policy, offsetAt, utcMs: NOW_MS });
    await devicesOf(campaigns.planned({ campaignId: campaign.id }, NOW_MS), (device) => own.add(device, device.wave));
    await devicesOf(campaigns.outsiders({ campaignId: campaign.id, query: policy.query }, NOW_MS), (device) =>
      own.addOutsider(device),
    );
    const inOrder = ({ exclusions, ...rest }: typeof plan) => ({
      ...rest,
      exclusions: exclusions.toSorted((a, b) => a.reason.localeCompare(b.reason)),
    });
    assert.deepEqual(inOrder(own.finish()), inOrder(plan));
    assert.ok(plan.exclusions.length > 0 && plan.matchedCount === 359);
  });
