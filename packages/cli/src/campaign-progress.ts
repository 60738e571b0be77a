/** Shows how a campaign goes: a bar for each wave on a terminal, lines of what has changed elsewhere. */
import type { Campaign } from "@airlift/protocol/api/campaign";
import { MultiBar, type SingleBar } from "cli-progress";
import { broadcastText, countsText } from "./campaign-text.ts";
import { say } from "./terminal.ts";
import { clockText, printable } from "./text.ts";

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
  return {
    show: (campaign) => {
      const line = kind === "json" ? jsonOf(campaign) : lineOf(campaign);
      if (line === last) return;
      last = line;
      if (kind === "json") process.stdout.write(`${line}\n`);
      else say(`${clockText(campaign.updatedAt, Date.now())}  ${line}`);
    },
    note: say,
    stop: () => {},
  };
}

function createBars(): CampaignProgress {
  const bars = new MultiBar({
    format: "{name} {bar} {percentage} %  {state}: {counts}",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
    stream: process.stderr,
  });
  let waves: SingleBar[] = [];
  return {
    show: (campaign) => {
      const width = Math.max(...campaign.waves.map(({ name }) => name.length));
      waves = campaign.waves.map((wave, i) => {
        const words = {
          name: printable(wave.name).padEnd(width),
          state: wave.state,
          counts: countsText(wave.counts).slice(0, 60),
        };
        const bar = waves[i] ?? bars.create(Math.max(1, wave.counts.total), 0, words);
        bar.setTotal(Math.max(1, wave.counts.total));
        bar.update(endedCount(wave.counts), words);
        return bar;
      });
    },
    note: (line) => bars.log(`${line}\n`),
    stop: () => bars.stop(),
  };
}

const endedCount = ({ total, pending, active, held }: Campaign["counts"]): number => total - pending - active - held;

const lineOf = ({ state, sentence, counts, waves, broadcast }: Campaign): string => {
  const open = waves.filter((wave) => wave.state !== "waiting").map((wave) => `${wave.name} ${wave.state}`);
  return printable(
    `${state} (${sentence}); ${[...open, countsText(counts), broadcastText({ broadcast })].filter(Boolean).join("; ")}`,
  );
};

const jsonOf = ({ id, state, sentence, counts, waves, broadcast }: Campaign): string =>
  JSON.stringify({
    id,
    state,
    sentence,
    counts,
    ...(broadcast != null && { broadcast }),
    waves: waves.map((wave) => ({ name: wave.name, state: wave.state, sentence: wave.sentence, counts: wave.counts })),
  });
