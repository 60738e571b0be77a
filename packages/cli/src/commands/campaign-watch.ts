/** `airlift campaign watch`: a campaign as it goes, until it has ended. */
import { setTimeout as delay } from "node:timers/promises";
import type { Campaign } from "@airlift/protocol/api/campaign";
import { ROUTES } from "@airlift/protocol/api/routes";
import type { Command } from "commander";
import { createCampaignProgress } from "../campaign-progress.ts";
import { countsText } from "../campaign-text.ts";
import type { Client } from "../client.ts";
import { followEvents } from "../event-feed.ts";
import { isAway } from "../failure.ts";
import { clientOf, type GlobalOptions, say } from "../terminal.ts";
import { printable } from "../text.ts";

/** A campaign of a large fleet has thousands of events a second; it is looked at no more often than this. */
const LOOK_EVERY_MS = 300;
/** What changes without an event: the clock. */
const LOOK_AT_LEAST_EVERY_MS = 10_000;

export function registerCampaignWatch(campaign: Command): void {
  campaign
    .command("watch <id>")
    .description("follow a campaign until it has ended: exit 0 when it finished, 1 when it was stopped or aborted")
    .action(async (id: string, _: unknown, command: Command) => {
      const isJson = command.optsWithGlobals<GlobalOptions>().json === true;
      const progress = createCampaignProgress(isJson ? "json" : process.stderr.isTTY === true ? "bars" : "lines");
      const interrupt = new AbortController();
      const onInterrupt = () => interrupt.abort();
      process.once("SIGINT", onInterrupt);
      const options = { show: progress.show, note: progress.note, signal: interrupt.signal };
      const ended = await watch(clientOf(command), id, options).finally(() => {
        progress.stop();
        process.off("SIGINT", onInterrupt);
      });
      if (!isFinal(ended)) say(`the campaign goes on without this command: airlift campaign watch ${id}`);
      if (!isJson) process.stdout.write(`${printable(`${ended.name}: ${ended.sentence}`)}\n`);
      if (!isJson && isFinal(ended)) say(countsText(ended.counts));
      process.exitCode = ended.state === "finished" ? 0 : 1;
    });
}

const isFinal = ({ state }: Campaign): boolean => state === "finished" || state === "stopped" || state === "aborted";

interface Watching {
  show(campaign: Campaign): void;
  note(line: string): void;
  readonly signal: AbortSignal;
}

/** The campaign as it ended, or as it stood when `signal` came. */
async function watch(client: Client, id: string, { show, note, signal }: Watching): Promise<Campaign> {
  const look = () => client.ask(ROUTES.getCampaign, { params: { id } });
  let campaign = await look();
  show(campaign);
  const news = new News();
  const stop = new AbortController();
  const onLost = () => note("lost the connection to the server, trying again; the campaign goes on");
  const onBack = () => note("the server is there again");
  const both = AbortSignal.any([signal, stop.signal]);
  const feed = followEvents(client, { of: { campaignId: id }, signal: both, onLost, onBack });
  const onAbort = () => news.tell();
  signal.addEventListener("abort", onAbort);
  const clock = setInterval(() => news.tell(), LOOK_AT_LEAST_EVERY_MS);
  news.hear(feed);
  try {
    while (!isFinal(campaign) && !signal.aborted) {
      await news.wait();
      await delay(LOOK_EVERY_MS);
      // A server or a database that is away may come back; until then the feed says that it is not there.
      campaign = await look().catch((error: unknown) => {
        if (isAway(error)) return campaign;
        throw error;
      });
      show(campaign);
    }
  } finally {
    clearInterval(clock);
    signal.removeEventListener("abort", onAbort);
    stop.abort();
  }
  return campaign;
}

/** Whether there is something to look at: any number of events is one piece of news. */
class News {
  #isThere = false;
  #failure: unknown;
  #wake = (): void => {};

  tell(): void {
    this.#isThere = true;
    this.#wake();
  }

  hear(feed: AsyncIterable<unknown>): void {
    const listen = async () => {
      for await (const _ of feed) this.tell();
    };
    listen().catch((error: unknown) => {
      this.#failure = error;
      this.tell();
    });
  }

  /** Returns when there is news since the last time; throws what ended the feed. */
  async wait(): Promise<void> {
    if (!this.#isThere)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#isThere = false;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
