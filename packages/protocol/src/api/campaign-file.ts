/** A campaign as it was written in a file or a request, read as far as it can be. */
import { z } from "zod";
import { CampaignSpec, Criterion, SteppingStone, WaveSpec } from "./campaign.ts";
import { type Mistake, mistakesOf } from "./mistakes.ts";
import { plainWords } from "./plain-words.ts";

/** What a YAML or JSON parser made of a campaign's file, its defaults filled in. */
export interface ReadCampaign {
  /** Whole when there are no mistakes; else with something that stands in at each of `unread`. */
  readonly spec: CampaignSpec;
  readonly mistakes: readonly Mistake[];
  /** Places of which nothing can be said but what `mistakes` says: "image", "waves.2". */
  readonly unread: readonly string[];
}

/** Stands in for members that cannot be read, so that the others can be looked at as well. */
const STAND_IN = CampaignSpec.parse({ name: "-", image: "0".repeat(16), targets: { query: "*" } });

/** Lists of which one entry may be wrong and the others right. */
const LISTS: Readonly<Record<string, { readonly entry: z.ZodType; readonly standIn: unknown }>> = {
  waves: { entry: WaveSpec, standIn: { name: "\u{fffd}", devices: "remaining" } },
  criteria: { entry: Criterion, standIn: { outcomes: ["failed"], threshold: { count: 1 }, do: "abort" } },
  steppingStones: { entry: SteppingStone, standIn: { image: STAND_IN.image } },
};

/** Reads a campaign with all of its mistakes. */
export function readCampaign(value: unknown): ReadCampaign {
  const parsed = CampaignSpec.safeParse(value, { error: plainWords });
  if (parsed.success) return { spec: parsed.data, mistakes: [], unread: [] };
  const mistakes = parsed.error.issues.flatMap(mistakesOf);
  const written = z.record(z.string(), z.unknown()).safeParse(value);
  const unread: string[] = [];
  const read: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(CampaignSpec.shape)) {
    const own = written.success ? written.data[name] : undefined;
    const { success, data } = schema.safeParse(own);
    read[name] = success ? data : readEntries(name, own, unread);
  }
  return { spec: { ...STAND_IN, ...read }, mistakes, unread };
}

/** A member that cannot be read as a whole: its entries that can be, else what stands in for it. */
function readEntries(name: string, value: unknown, unread: string[]): unknown {
  const list = LISTS[name];
  if (list === undefined || !Array.isArray(value)) {
    unread.push(name);
    return STAND_IN[name as keyof CampaignSpec];
  }
  return value.map((one, i) => {
    const parsed = list.entry.safeParse(one);
    if (parsed.success) return parsed.data;
    unread.push(`${name}.${i}`);
    return list.entry.parse(list.standIn);
  });
}
