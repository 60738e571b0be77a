/** The operations on one device as functions of the API. */
import {
  DiscoverAnswer,
  DoneAnswer,
  NewObservation,
  type NotificationAttributes,
  QueuedAnswer,
  ReadAnswer,
} from "@airlift/protocol/api/operations";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Command, InvalidArgumentError } from "commander";
import { type Call, type Client, type Schema, segment } from "./client.ts";
import { printResult, wholeNumber } from "./terminal.ts";

/** What every operation is told beside its own words. */
export interface OperationOptions {
  readonly timeout: number;
  readonly queue?: boolean;
}

/** The operation is on record, and asked of the device as soon as it is awake. */
export class Queued {
  readonly id: string;

  constructor({ id }: QueuedAnswer) {
    this.id = id;
  }
}

/** Adds `--timeout` to a command. */
export const addTimeout = (command: Command): Command =>
  command.option("--timeout <seconds>", "how long the device may take, up to 110", seconds, 30);

function seconds(text: string): number {
  const value = wholeNumber(1)(text);
  if (value > 110) throw new InvalidArgumentError("It is at most 110.");
  return value;
}

/** As `addTimeout`, and `--queue` for a device that sleeps. */
export const addQueue = (command: Command): Command =>
  addTimeout(command).option("--queue", "have it wait until the device is awake, instead of failing when it sleeps");

/** Prints what the device answered, or where the request waits for it. */
export function printAnswer<Answer>(command: Command, answer: Answer | Queued, text: (answer: Answer) => string): void {
  printResult(command, answer, () =>
    answer instanceof Queued
      ? `on record as ${answer.id}; airlift device-queue ${command.args[0] ?? ""} tells what comes of it\n`
      : text(answer),
  );
}

/** One device, and how long it may take. */
export class DeviceOperations {
  readonly #client: Client;
  readonly #place: string;
  readonly #query: string;
  readonly #isQueueing: boolean;

  constructor(client: Client, endpoint: string, { timeout, queue = false }: OperationOptions) {
    this.#client = client;
    this.#place = `devices/${segment(endpoint)}`;
    this.#query = `timeoutS=${timeout}${queue ? "&queue=true" : ""}`;
    this.#isQueueing = queue;
  }

  /** Of one path, or of several at once. */
  read(paths: readonly string[]): Promise<ReadAnswer | Queued> {
    const [path = ""] = paths;
    if (paths.length === 1) return this.#ask(this.#resource(path), ReadAnswer);
    return this.#ask(this.#at("composite/read"), ReadAnswer, json("POST", { paths }));
  }

  /** `values` by path, each as it was typed. */
  write(values: Readonly<Record<string, unknown>>, isUpdate: boolean): Promise<DoneAnswer | Queued> {
    const [first, ...more] = Object.entries(values);
    if (first === undefined || more.length > 0)
      return this.#ask(this.#at("composite/write"), DoneAnswer, json("POST", { values, typed: true }));
    const [path, value] = first;
    return this.#ask(this.#resource(path), DoneAnswer, json(isUpdate ? "PATCH" : "PUT", { value, typed: true }));
  }

  execute(path: string, given: Readonly<Record<string, string | null>>): Promise<DoneAnswer | Queued> {
    return this.#ask(this.#at("execute"), DoneAnswer, json("POST", { path, arguments: given }));
  }

  create(path: string, values: Readonly<Record<string, unknown>>): Promise<DoneAnswer | Queued> {
    return this.#ask(this.#at("create"), DoneAnswer, json("POST", { path, values, typed: true }));
  }

  delete(path: string): Promise<DoneAnswer | Queued> {
    return this.#ask(this.#resource(path), DoneAnswer, { method: "DELETE" });
  }

  discover(path: string): Promise<DiscoverAnswer | Queued> {
    return this.#ask(`${this.#at("discover")}&path=${encodeURIComponent(path)}`, DiscoverAnswer);
  }

  writeAttributes(path: string, attributes: NotificationAttributes): Promise<DoneAnswer | Queued> {
    return this.#ask(this.#at("attributes"), DoneAnswer, json("PUT", { path, attributes }));
  }

  observe(paths: readonly string[]): Promise<NewObservation> {
    return this.#client.call(this.#at("observations"), NewObservation, json("POST", { paths }));
  }

  cancel(observationId: string): Promise<void> {
    return this.#client.tell(`${this.#place}/observations/${segment(observationId)}`, { method: "DELETE" });
  }

  async #ask<Answer>(path: string, schema: Schema<Answer>, call?: Call): Promise<Answer | Queued> {
    if (!this.#isQueueing) return await this.#client.call(path, schema, call);
    return new Queued(await this.#client.call(path, QueuedAnswer, call));
  }

  #at(what: string): string {
    return `${this.#place}/${what}?${this.#query}`;
  }

  #resource(path: string): string {
    const segments = path.split("/").filter((part) => part !== "");
    if (segments.length === 0) throw new UsageError("PATH", `${path} names nothing on the device; an object is /3`);
    return this.#at(`resources/${segments.map(encodeURIComponent).join("/")}`);
  }
}

const json = (method: "POST" | "PUT" | "PATCH", body: unknown) => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/**
 * "name=value" as a pair; a value that begins with a brace is JSON, for multiple resources and instances.
 *
 * @throws {UsageError} VALUE
 */
export function readPair(text: string): readonly [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError("VALUE", `${text} is not of the form NAME=VALUE`);
  return [text.slice(0, at), readValue(text.slice(at + 1))];
}

/** A value as it was typed; one that begins with a brace is JSON. @throws {UsageError} VALUE */
export function readValue(text: string): unknown {
  if (!text.startsWith("{")) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError("VALUE", `${text} begins like JSON and is none`);
  }
}
