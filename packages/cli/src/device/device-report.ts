/** What a device says while it runs: a sentence on stderr, or one JSON document a line on stdout. */
import type { AgentEvent } from "@airlift/device/agent-options";

export type DeviceEvent =
  | AgentEvent
  | { readonly kind: "started"; readonly version: string; readonly slot: string; readonly outcome: string };

export type Report = (event: DeviceEvent) => void;

export function createReport(endpoint: string, json: boolean): Report {
  const percents = new Percents();
  return (event) => {
    if (json) process.stdout.write(`${JSON.stringify({ endpoint, ...plain(event) })}\n`);
    const sentence = event.kind === "progress" ? percents.sentence(event) : sentenceOf(event);
    if (sentence !== undefined && !json) process.stderr.write(`${endpoint}: ${sentence}\n`);
  };
}

function sentenceOf(event: Exclude<DeviceEvent, { kind: "progress" }>): string {
  switch (event.kind) {
    case "started":
      return `runs ${event.version} from slot ${event.slot} (${event.outcome})`;
    case "registered":
      return `registered as /${event.location.join("/")}`;
    case "registrationFailed":
      return `could not register (${event.reason}); tries again in ${seconds(event.retryAfterMs)}`;
    case "state":
      return `state ${event.state}, result ${event.result}`;
    case "software":
      return `package ${event.software}: state ${event.state}, result ${event.result}`;
    case "pullPaused":
      return `download interrupted (${event.reason}); goes on in ${seconds(event.retryAfterMs)}`;
    case "failure":
      return `${event.what} failed: ${messageOf(event.error)}`;
    case "bootstrapping":
      return `asks ${event.server} for its configuration`;
    case "bootstrapped":
      return `lives with ${event.server} from now on`;
    case "bootstrapFailed":
      return `could not be bootstrapped (${event.reason})${again(event.retryAfterMs)}`;
    case "restarting":
      return "restarts";
  }
}

/** One line for each tenth of a download. */
class Percents {
  #told = -1;

  sentence({ storedBytes, sizeBytes }: Extract<DeviceEvent, { kind: "progress" }>): string | undefined {
    if (sizeBytes === undefined || sizeBytes === 0) return undefined;
    const tenth = Math.floor((10 * storedBytes) / sizeBytes);
    if (tenth === this.#told) return undefined;
    this.#told = tenth;
    return `downloaded ${10 * tenth} %`;
  }
}

function plain(event: DeviceEvent): object {
  return event.kind === "failure" ? { ...event, error: messageOf(event.error) } : event;
}

const again = (afterMs: number | undefined): string =>
  afterMs === undefined ? "; goes on with what it has" : `; tries again in ${seconds(afterMs)}`;
const seconds = (delayMs: number): string => `${Math.round(delayMs / 1000)} s`;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
