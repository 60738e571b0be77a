/** `airlift mesh plan`: what a broadcast of an image is going to cost in airtime, hours of the law, time and batteries. */
import { readFile, stat } from "node:fs/promises";
import { MeshPlan } from "@airlift/protocol/api/mesh";
import { UsageError } from "@airlift/protocol/lib/errors";
import { DEFAULT_RATE_BPS, LEAST_RATE_BPS, MOST_RATE_BPS } from "@airlift/protocol/zmesh/airtime";
import { DEFAULT_MTU_BYTES } from "@airlift/protocol/zmesh/chunking";
import { decodeRegion } from "@airlift/protocol/zmesh/region-file";
import { DEFAULT_SUB_BAND, SUB_BANDS, type SubBand } from "@airlift/protocol/zmesh/regions";
import { type BroadcastPlan, planBroadcast } from "@airlift/sim/mesh/broadcast-plan";
import type { Command } from "commander";
import { segment } from "../client.ts";
import { unreadableFile } from "../mesh-lines.ts";
import { clientOf, durationS, printResult, share, wholeNumber } from "../terminal.ts";
import { pairs, sizeText, table } from "../text.ts";

interface Options {
  readonly devices?: number;
  readonly loss?: number;
  readonly campaign?: string;
  readonly within: number;
  readonly band: string;
  readonly rate: number;
  readonly mtu: number;
  readonly gap?: number;
  readonly region?: string;
}

/** No broadcast is for more. */
const MOST_DEVICES = 1_000_000;
const LONGEST_GAP_MS = 3_600_000;

export function registerMeshPlan(mesh: Command): void {
  mesh
    .command("plan [image]")
    .description("predict airtime, duty, duration and receiver energy of a broadcast")
    .option("--campaign <id>", "of a campaign, by the gateways that the server knows and what they have left")
    .option("--within <duration>", "with --campaign: how long it may take", durationS, 86_400)
    .option("--devices <count>", "devices that are to receive it", wholeNumber(1, MOST_DEVICES))
    .option("--loss <share>", "share of packets a device loses, such as 0.05", share(0.9))
    .option("--band <band>", "sub-band", DEFAULT_SUB_BAND)
    .option("--region <file>", "your own table of sub-bands, as JSON, instead of the European and American defaults")
    .option("--rate <bps>", "bits a second on air", wholeNumber(LEAST_RATE_BPS, MOST_RATE_BPS), DEFAULT_RATE_BPS)
    .option("--mtu <bytes>", "payload bytes of a radio packet", wholeNumber(1), DEFAULT_MTU_BYTES)
    .option("--gap <ms>", "milliseconds between two packets; back to back by default", wholeNumber(0, LONGEST_GAP_MS))
    .action(async (file: string | undefined, options: Options, command: Command) => {
      const { campaign, within, devices, loss, band, rate, mtu, gap, region } = options;
      if (campaign !== undefined && file !== undefined)
        throw new UsageError("OPTIONS", "give an image or --campaign, which has one: not both");
      if (campaign !== undefined) return await printCampaignPlan(campaign, within, command);
      if (file === undefined || devices === undefined || loss === undefined)
        throw new UsageError("OPTIONS", "give an image with --devices and --loss, or --campaign");
      const subBand = await subBandOf(band, region);
      const plan = planBroadcast({
        imageBytes: await sizeOf(file),
        deviceCount: devices,
        loss,
        subBand,
        rateBps: rate,
        mtuBytes: mtu,
        ...(gap !== undefined && { gapMs: gap }),
      });
      printResult(command, plan, () => textOf(plan));
    });
}

/** By the server's own gateways; refused with the numbers when the law does not allow it. */
async function printCampaignPlan(campaignId: string, withinS: number, command: Command): Promise<void> {
  const path = `mesh/plan?campaignId=${segment(campaignId)}&withinS=${withinS}`;
  const plan = await clientOf(command).call(path, MeshPlan);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  printResult(command, plan, () =>
    table(
      ["GATEWAY", "CELLS", "BAND", "DEVICES", "PACKETS", "AIRTIME", "BUDGET LEFT", "TAKES", "BEGINS"],
      plan.sessions.map((one) => [
        one.gatewayId,
        one.cells.join(", "),
        one.band,
        `${one.deviceCount}`,
        `${one.packetCount}`,
        seconds(one.airtimeMs),
        seconds(one.budgetMs - one.usedMs),
        durationText(one.durationMs),
        new Date(one.windows[0]?.fromMs ?? 0).toISOString().slice(11, 19),
      ]),
    ),
  );
}

/** @throws {UsageError} SUB_BAND naming those that there are; REGION; FILE */
async function subBandOf(name: string, regionFile: string | undefined): Promise<SubBand> {
  const bands = regionFile === undefined ? SUB_BANDS : decodeRegion(await textOfFile(regionFile));
  const found = bands.find((band) => band.name === name);
  if (found) return found;
  throw new UsageError("SUB_BAND", `there is no sub-band ${name}, only ${bands.map((band) => band.name).join(", ")}`);
}

function textOfFile(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error) => {
    throw unreadableFile(file, error);
  });
}

function textOf(plan: BroadcastPlan): string {
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
  return pairs([
    ["image", `${sizeText(plan.imageBytes)} in ${plan.dataCount} packets of ${plan.chunkBytes} bytes`],
    ["packets until all are complete", `${plan.packetCount} (× ${(plan.packetCount / plan.dataCount).toFixed(3)})`],
    ["parity before the first poll", `${plan.openLoopRepairCount}`],
    ["airtime", `${(plan.airtimeMs / 1000).toFixed(1)} s`],
    [
      "sub-band",
      `${plan.band}: ${(plan.budgetMs / 1000).toFixed(1)} s in each ${plan.windowMs / 1000} s, reserve kept`,
    ],
    ["share of that budget", percent(plan.budgetShare)],
    ["gap", `${plan.gapMs.toFixed(1)} ms`],
    ["duration", durationText(plan.durationMs)],
    ["receiver energy, asleep in gaps", `${plan.sleepingJoules.toFixed(2)} J`],
    ["receiver energy, always listening", `${plan.listeningJoules.toFixed(2)} J`],
    ["decoder RAM of the worst device", sizeText(plan.decoderRamBytes)],
  ]);
}

function durationText(ms: number): string {
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 7_200_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw unreadableFile(file, error);
  });
  if (!found.isFile()) throw new UsageError("FILE", `${file}: this is not a file`);
  return found.size;
}
