/** The operations on one device as functions of the API. */
import {
  DiscoverAnswer,
  DoneAnswer,
  NewObservation,
  type NotificationAttributes,
  ReadAnswer,
} from "@airlift/protocol/api/operations";
import { type Command, InvalidArgumentError } from "commander";
import { type Client, segment } from "./client.ts";
import { wholeNumber } from "./terminal.ts";

/** What every operation is told beside its own words. */
export interface OperationOptions {
  readonly timeout: number;
}

/** Adds `--timeout` to a command. */
export const addTimeout = (command: Command): Command =>
  command.option("--timeout <seconds>", "how long the device may take, up to 110", seconds, 30);

function seconds(text: string): number {
  const value = wholeNumber(1)(text);
  if (value > 110) throw new InvalidArgumentError("It is at most 110.");
  return value;
}

/** One device, and how long it may take. */
export class DeviceOperations {
  readonly #client: Client;
  readonly #place: string;
  readonly #query: string;

  constructor(client: Client, endpoint: string, { timeout }: OperationOptions) {
    this.#client = client;
    this.#place = `devices/${segment(endpoint)}`;
    this.#query = `timeoutS=${timeout}`;
  }

  /** Of one path, or of several at once. */
  read(paths: readonly string[]): Promise<ReadAnswer> {
    const [path = ""] = paths;
    if (paths.length === 1) return this.#client.call(this.#resource(path), ReadAnswer);
    return this.#client.call(this.#at("composite/read"), ReadAnswer, json("POST", { paths }));
  }

  /** `values` by path, each as it was typed. */
  write(values: Readonly<Record<string, unknown>>, isUpdate: boolean): Promise<DoneAnswer> {
    const [first, ...more] = Object.entries(values);
    if (first === undefined || more.length > 0)
      return this.#client.call(this.#at("composite/write"), DoneAnswer, json("POST", { values, typed: true }));
    const [path, value] = first;
    return this.#client.call(
      this.#resource(path),
      DoneAnswer,
      json(isUpdate ? "PATCH" : "PUT", { value, typed: true }),
    );
  }

  execute(path: string, given: Readonly<Record<string, string | null>>): Promise<DoneAnswer> {
    return this.#client.call(this.#at("execute"), DoneAnswer, json("POST", { path, arguments: given }));
  }

  create(path: string, values: Readonly<Record<string, unknown>>): Promise<DoneAnswer> {
    return this.#client.call(this.#at("create"), DoneAnswer, json("POST", { path, values, typed: true }));
  }

  delete(path: string): Promise<DoneAnswer> {
    return this.#client.call(this.#resource(path), DoneAnswer, { method: "DELETE" });
  }

  discover(path: string): Promise<DiscoverAnswer> {
    return this.#client.call(`${this.#at("discover")}&path=${encodeURIComponent(path)}`, DiscoverAnswer);
  }

  writeAttributes(path: string, attributes: NotificationAttributes): Promise<DoneAnswer> {
    return this.#client.call(this.#at("attributes"), DoneAnswer, json("PUT", { path, attributes }));
  }

  observe(paths: readonly string[]): Promise<NewObservation> {
    return this.#client.call(this.#at("observations"), NewObservation, json("POST", { paths }));
  }

  cancel(observationId: string): Promise<void> {
    return this.#client.tell(`${this.#place}/observations/${segment(observationId)}`, { method: "DELETE" });
  }

  #at(what: string): string {
    return `${this.#place}/${what}?${this.#query}`;
  }

  #resource(path: string): string {
    const segments = path.split("/").filter((part) => part !== "");
    return this.#at(`resources/${segments.map(encodeURIComponent).join("/")}`);
  }
}

const json = (method: "POST" | "PUT" | "PATCH", body: unknown) => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/** "name=value" as a pair; a value that begins with a brace is JSON, for multiple resources and instances. */
export function readPair(text: string): readonly [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`${text} is not of the form NAME=VALUE.`);
  return [text.slice(0, at), readValue(text.slice(at + 1))];
}

/** A value as it was typed; one that begins with a brace is JSON. */
export function readValue(text: string): unknown {
  if (!text.startsWith("{")) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError(`${text} begins like JSON and is none.`);
  }
}
