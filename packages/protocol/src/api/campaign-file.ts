/** A campaign as it was written in a file or a request, read as far as it can be. */
import { z } from "zod";
import { CampaignSpec, Criterion, SteppingStone, WaveSpec, WindowsSpec } from "./campaign.ts";
import { type Mistake, mistakesOf } from "./mistakes.ts";
import { plainWords } from "./plain-words.ts";

/** What a YAML or JSON parser made of a campaign's file, its defaults filled in. */
export interface ReadCampaign {
  /** Whole when there are no mistakes; else with something that stands in at each of `unread`. */
  readonly spec: CampaignSpec;
  readonly mistakes: readonly Mistake[];
  /** Places of which nothing can be said but what `mistakes` says: "image", "waves.2.soak". */
  readonly unread: readonly string[];
}

/** Stands in for members that cannot be read, so that the others can be looked at as well. */
const STAND_IN = CampaignSpec.parse({ name: "-", image: "0".repeat(16), targets: { query: "*" } });

/** Lists of which one entry may be wrong and the others right. */
const LISTS: Readonly<Record<string, Members>> = {
  waves: { schema: WaveSpec, standIn: { name: "\u{fffd}", devices: "remaining", soak: "0s", criteria: [] } },
  criteria: {
    schema: Criterion,
    standIn: { outcomes: ["failed"], threshold: { count: 1 }, minimumExecuted: 0, do: "abort" },
  },
  steppingStones: { schema: SteppingStone, standIn: { image: STAND_IN.image, from: [] } },
};

/** Groups of which one member may be wrong and the others right. */
const GROUPS: Readonly<Record<string, Members>> = {
  targets: { schema: CampaignSpec.shape.targets, standIn: STAND_IN.targets },
  windows: { schema: WindowsSpec, standIn: STAND_IN.windows },
};

interface Members {
  readonly schema: z.ZodObject;
  readonly standIn: Readonly<Record<string, unknown>>;
}

/** Reads a campaign with all of its mistakes. */
export function readCampaign(value: unknown): ReadCampaign {
  const parsed = CampaignSpec.safeParse(value, { error: plainWords });
  if (parsed.success) return { spec: parsed.data, mistakes: [], unread: [] };
  const mistakes = parsed.error.issues.flatMap(mistakesOf);
  const unread: string[] = [];
  const spec = readMembers(value, { schema: CampaignSpec, standIn: STAND_IN }, { path: "", unread });
  return { spec: spec as CampaignSpec, mistakes, unread };
}

interface Place {
  /** "waves.2."; "" = the whole. */
  readonly path: string;
  readonly unread: string[];
}

/** Each member by itself, with what stands in for those that cannot be read. */
function readMembers(value: unknown, { schema, standIn }: Members, { path, unread }: Place): Record<string, unknown> {
  const written = z.record(z.string(), z.unknown()).safeParse(value);
  const read: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(schema.shape)) {
    const own = written.success ? written.data[name] : undefined;
    const parsed = z.safeParse(member, own);
    const list = LISTS[name];
    const group = GROUPS[name];
    if (parsed.success) read[name] = parsed.data;
    else if (list !== undefined && Array.isArray(own))
      read[name] = own.map((one, i) => readMembers(one, list, { path: `${path}${name}.${i}.`, unread }));
    else if (group !== undefined && typeof own === "object" && own !== null && !Array.isArray(own))
      read[name] = readMembers(own, group, { path: `${path}${name}.`, unread });
    else {
      unread.push(`${path}${name}`);
      read[name] = standIn[name];
    }
  }
  return read;
}
