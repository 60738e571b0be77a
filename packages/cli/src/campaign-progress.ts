/** Shows how a campaign goes: a bar for each wave on a terminal, lines of what has changed elsewhere. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { MultiBar, type SingleBar } from "cli-progress";
import { broadcastLines, countsText, standingText } from "./campaign-text.ts";
import { say } from "./terminal.ts";
import { clockText, fitted, printable } from "./text.ts";

export interface CampaignProgress {
  show(campaign: Campaign): void;
  note(line: string): void;
  /** Leaves the terminal as it was. */
  stop(): void;
}

/** `bars` on a terminal, `lines` elsewhere, `json` a line on stdout for every change. */
export function createCampaignProgress(kind: "bars" | "lines" | "json"): CampaignProgress {
  if (kind === "bars") return createBars();
  let last = "";
  let lastUpdatedAt = "";
  return {
    show: (campaign) => {
      const line = kind === "json" ? jsonOf(campaign) : lineOf(campaign);
      if (line === last) return;
      last = line;
      // What a broadcast comes to changes without the campaign: then it is as of now.
      const at = campaign.updatedAt === lastUpdatedAt ? new Date().toISOString() : campaign.updatedAt;
      lastUpdatedAt = campaign.updatedAt;
      if (kind === "json") process.stdout.write(`${line}\n`);
      else say(`${clockText(at, Date.now())}  ${line}`);
    },
    note: say,
    stop: () => {},
  };
}

const BAR_COLUMNS = 16;
/** " 100 %  " and what stands around the bar. */
const COLUMNS_AROUND_BAR = 10;
/** A wave's name is cut before its counts are. */
const MOST_NAME_COLUMNS = 24;
const USUAL_COLUMNS = 80;

/** One line for the campaign and why it stands there, a bar for each wave, two lines for its broadcasts; none is wider than the terminal. */
function createBars(): CampaignProgress {
  const bars = new MultiBar({
    format: "{name} {bar} {share} %  {counts}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: BAR_COLUMNS,
    hideCursor: true,
    clearOnComplete: false,
    // A note is written over the first lines: they are drawn again, changed or not.
    forceRedraw: true,
    stream: process.stderr,
  });
  let standing: SingleBar | undefined;
  let waves: SingleBar[] = [];
  let told: Campaign["state"] | undefined;
  const onAir: SingleBar[] = [];
  return {
    show: (campaign) => {
      // In the last column some terminals go on to the next line.
      const columns = (process.stderr.columns ?? USUAL_COLUMNS) - 1;
      const whole = printable(`${campaign.name}: ${standingText(campaign)}`);
      const line = fitted(whole, columns);
      // Why it paused is what somebody is woken for: told once in full, above the bars.
      if (campaign.state !== told && line !== whole)
        bars.log(`${clockText(campaign.updatedAt, Date.now())}  ${whole}\n`);
      told = campaign.state;
      standing ??= bars.create(1, 0, { line }, { format: "{line}" });
      standing.update({ line });
      const width = Math.min(MOST_NAME_COLUMNS, Math.max(...campaign.waves.map(({ name }) => [...name].length)));
      waves = campaign.waves.map((wave, i) => {
        const total = Math.max(1, wave.counts.total);
        const ended = endedCount(wave.counts);
        const words = {
          name: fitted(wave.name, width).padEnd(width),
          share: `${Math.floor((100 * ended) / total)}`.padStart(3),
          counts: fitted(
            `${wave.state}: ${countsText(wave.counts)}`,
            columns - width - BAR_COLUMNS - COLUMNS_AROUND_BAR,
          ),
        };
        const bar = waves[i] ?? bars.create(total, 0, words);
        bar.setTotal(total);
        bar.update(ended, words);
        return bar;
      });
      for (const [i, line] of broadcastLines(campaign).entries()) {
        const words = { line: fitted(line, columns) };
        onAir[i] ??= bars.create(1, 0, words, { format: "{line}" });
        onAir[i].update(words);
      }
    },
    note: (text) => bars.log(`${text}\n`),
    stop: () => bars.stop(),
  };
}

const endedCount = ({ total, pending, active, held }: Campaign["counts"]): number => total - pending - active - held;

const lineOf = (campaign: Campaign): string => {
  const { counts, waves, broadcast } = campaign;
  const open = waves.filter((wave) => wave.state !== "waiting").map((wave) => `${wave.name} ${wave.state}`);
  return printable(
    `${standingText(campaign)}; ${[...open, countsText(counts), ...broadcastLines({ broadcast })].join("; ")}`,
  );
};

const jsonOf = ({ id, state, sentence, counts, waves, broadcast }: Campaign): string =>
  JSON.stringify({
    id,
    state,
    sentence,
    counts,
    ...(broadcast !== undefined && { broadcast }),
    waves: waves.map((wave) => ({ name: wave.name, state: wave.state, sentence: wave.sentence, counts: wave.counts })),
  });
