/** `airlift update`: brings one image to one device and waits for the proof that it runs. */
import type { Event, Update } from "@airlift/protocol/api/schemas";
import { DELIVERY_METHODS, type DeliveryMethod, isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { type Command, Option } from "commander";
import type { Client } from "../client.ts";
import { followEvents } from "../event-feed.ts";
import { createProgress, type Progress } from "../progress.ts";
import { clientOf, type GlobalOptions, printResult, say } from "../terminal.ts";
import { printable } from "../text.ts";

interface Options extends GlobalOptions {
  readonly image: string;
  readonly by: DeliveryMethod;
  readonly apply: boolean;
  readonly target: string;
  readonly force?: boolean;
  readonly delta?: boolean;
}

export function registerUpdate(program: Command): void {
  program
    .command("update <endpoint>")
    .description("update one device and wait until the new version is confirmed")
    .requiredOption("--image <id>", "the image to install")
    .addOption(new Option("--by <method>", "how the bytes get there").choices(DELIVERY_METHODS).default("auto"))
    .option("--no-apply", "stop when the image is downloaded")
    .option(
      "--target <target>",
      "what of the device: firmware, component:N (/33629/N) or software:N (/9/N)",
      "firmware",
    )
    .option("--delta", "send a delta where the store has one from what the device runs")
    .option("--force", "also when the device says that it is of another make, model or hardware")
    .action(async (endpoint: string, _: unknown, command: Command) => {
      const { image, by, apply, target, delta = false, force = false, json } = command.optsWithGlobals<Options>();
      const client = clientOf(command);
      const started = await client.startUpdate({ endpoint, imageId: image, by, apply, target, delta, force });
      const progress = createProgress({ isBar: process.stderr.isTTY === true && json !== true });
      const interrupt = new AbortController();
      const onInterrupt = () => interrupt.abort();
      process.once("SIGINT", onInterrupt);
      const ended = await waitFor(client, started, { progress, signal: interrupt.signal }).finally(() => {
        progress.stop();
        process.off("SIGINT", onInterrupt);
      });
      if (interrupt.signal.aborted) say(`the update goes on without this command: airlift device-show ${endpoint}`);
      printResult(command, ended, () => `${printable(`${ended.endpoint}: ${ended.sentence}`)}\n`);
      process.exitCode = isDone(ended) ? 0 : 1;
    });
}

interface Waiting {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The update as it ended, or as it stood when `signal` came. */
async function waitFor(client: Client, started: Update, { progress, signal }: Waiting): Promise<Update> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const onLost = () => progress.note("lost the connection to the server, trying again; the update goes on");
  const onBack = () => progress.note("the server is there again");
  const feed = { of: { updateId: started.id }, afterId: 0, signal: both, onLost, onBack };
  for await (const event of followEvents(client, feed)) {
    progress.show(event);
    if (!isEnd(event, started.apply)) continue;
    const ended = await client.update(started.id);
    // What ended may have been an attempt before this one.
    if (ended.finishedAt === null && ended.state !== "waitingToApply") continue;
    stop.abort();
    return ended;
  }
  return await client.update(started.id);
}

/** Whether nothing more is to be waited for. */
function isEnd(event: Event, apply: boolean): boolean {
  const state = event.facts["state"];
  if (event.kind !== "update.transition" || typeof state !== "string") return false;
  return isFinalUpdateState(state as Update["state"]) || (!apply && state === "waitingToApply");
}

/** Whether the device runs the image and said so, or holds it as was asked. */
const isDone = ({ state, apply }: Update): boolean =>
  state === "succeeded" || state === "skipped" || (!apply && state === "waitingToApply");
