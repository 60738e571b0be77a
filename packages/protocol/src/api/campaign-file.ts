/** A campaign as it was written in a file or a request, read as far as it can be. */
import { z } from "zod";
import { FAILURE_KINDS } from "../update/device-update.ts";
import {
  BlackoutSpec,
  CampaignSpec,
  CapsSpec,
  Criterion,
  PenaltySpec,
  RetrySpec,
  RollbackSpec,
  SteppingStone,
  sharesProblem,
  VersionRange,
  WaveSpec,
  WindowSpec,
  WindowsSpec,
} from "./campaign.ts";
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

/** Something with members, each of which may be wrong and the others right. */
interface Members {
  readonly schema: z.ZodObject;
  readonly standIn: Readonly<Record<string, unknown>>;
  /** Members that have members of their own. */
  readonly parts?: Readonly<Record<string, Part>>;
}

interface Part {
  /** `group`: these members; `list`: each entry has them; `record`: each value, by one of these names. */
  readonly kind: "group" | "list" | readonly string[];
  readonly of: Members;
}

const list = (of: Members): Part => ({ kind: "list", of });
const group = (of: Members): Part => ({ kind: "group", of });

const CRITERIA = list({
  schema: Criterion,
  standIn: { outcomes: ["failed"], threshold: { count: 1 }, minimumExecuted: 0, do: "abort" },
});
const RANGES = list({ schema: VersionRange, standIn: {} });
const WINDOWS = list({ schema: WindowSpec, standIn: { cron: "* * * * *", for: "1h" } });
const BLACKOUT = list({ schema: BlackoutSpec, standIn: { from: "2000-01-01", to: "2000-01-01" } });

const CAMPAIGN: Members = {
  schema: CampaignSpec,
  standIn: STAND_IN,
  parts: {
    targets: group({ schema: CampaignSpec.shape.targets, standIn: STAND_IN.targets }),
    waves: list({
      schema: WaveSpec,
      standIn: { name: "\u{fffd}", devices: "remaining", soak: "0s", criteria: [] },
      parts: { criteria: CRITERIA },
    }),
    criteria: CRITERIA,
    caps: group({ schema: CapsSpec, standIn: STAND_IN.caps }),
    windows: group({
      schema: WindowsSpec,
      standIn: STAND_IN.windows,
      parts: { download: WINDOWS, apply: WINDOWS, blackout: BLACKOUT },
    }),
    retry: {
      kind: FAILURE_KINDS,
      of: { schema: RetrySpec, standIn: { attempts: 1, backoff: "0s", longest: "999999d" } },
    },
    penaltyBox: group({ schema: PenaltySpec, standIn: STAND_IN.penaltyBox }),
    from: RANGES,
    steppingStones: list({
      schema: SteppingStone,
      standIn: { image: STAND_IN.image, from: [] },
      parts: { from: RANGES },
    }),
    rollback: group({ schema: RollbackSpec, standIn: { image: STAND_IN.image, inFlight: 1 } }),
  },
};

/** Reads a campaign with all of its mistakes. */
export function readCampaign(value: unknown): ReadCampaign {
  const parsed = CampaignSpec.safeParse(value, { error: plainWords });
  if (parsed.success) return { spec: parsed.data, mistakes: [], unread: [] };
  const mistakes = parsed.error.issues.flatMap(mistakesOf);
  const unread: string[] = [];
  const spec = readMembers(value, CAMPAIGN, { path: "", unread }) as CampaignSpec;
  return { spec, mistakes: [...mistakes, ...shareMistakes(spec, mistakes, unread)], unread };
}

/** A schema does not look at the shares once a wave is of another type than it should be. */
function shareMistakes(
  { waves }: CampaignSpec,
  told: readonly Mistake[],
  unread: readonly string[],
): readonly Mistake[] {
  const isRead = !unread.some((place) => /^waves($|\.\d+\.devices$)/.test(place));
  const problem = isRead && !told.some(({ path }) => path === "waves") ? sharesProblem(waves) : undefined;
  return problem === undefined ? [] : [{ path: "waves", code: "MEMBER", message: problem }];
}

interface Place {
  /** "waves.2."; "" = the whole. */
  readonly path: string;
  readonly unread: string[];
}

/** Each member by itself, with what stands in for those that cannot be read. */
function readMembers(
  value: unknown,
  { schema, standIn, parts }: Members,
  { path, unread }: Place,
): Record<string, unknown> {
  const written = membersOf(value) ?? {};
  const read: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(schema.shape)) {
    const own = written[name];
    const parsed = z.safeParse(member, own);
    const place = { path: `${path}${name}.`, unread };
    const part = parts?.[name];
    read[name] = parsed.success ? parsed.data : part && readPart(own, part, place);
    if (parsed.success || read[name] !== undefined) continue;
    unread.push(`${path}${name}`);
    read[name] = standIn[name];
  }
  return read;
}

/** Undefined = it is no such thing at all. */
function readPart(own: unknown, { kind, of }: Part, { path, unread }: Place): unknown {
  if (kind === "list")
    return Array.isArray(own) ? own.map((one, i) => readMembers(one, of, { path: `${path}${i}.`, unread })) : undefined;
  const members = membersOf(own);
  if (members === undefined || kind === "group") return members && readMembers(members, of, { path, unread });
  const named = kind.filter((name) => members[name] !== undefined);
  return Object.fromEntries(
    named.map((name) => [name, readMembers(members[name], of, { path: `${path}${name}.`, unread })]),
  );
}

/** Undefined = it has none. */
function membersOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (Array.isArray(value)) return undefined;
  const written = z.record(z.string(), z.unknown()).safeParse(value);
  return written.success ? written.data : undefined;
}
