/** The API as functions. Answers are checked against the schemas that the server answers by. */
import { randomUUID } from "node:crypto";
import { type Answered, type Asked, type Route, requestOf } from "@airlift/protocol/api/route";
import {
  AddedImage,
  Device,
  type DeviceEdit,
  type DeviceLines,
  Event,
  type Exchange,
  Exchanges,
  Image,
  ImportAnswer,
  type NewUpdate,
  type Problem,
  Problem as ProblemSchema,
  pageOf,
  QueuedRequest,
  Update,
  Upload,
} from "@airlift/protocol/api/schemas";
import { EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { RefusedError } from "./failure.ts";

export interface Connection {
  /** Base URL, "http://127.0.0.1:8080". */
  readonly url: string;
  /** Sent as a bearer token when there is one. */
  readonly token?: string | undefined;
}

export interface SchemaError {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/** The little of a zod schema that is needed here. */
export interface Schema<Value> {
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: SchemaError };
}

export interface Call {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: Blob | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** A name for an image that is uploaded. */
export interface UploadName {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  readonly hardware: readonly string[];
}

const LARGEST_PAGE = 1000;

/** The schema of an answer without content. */
export const NOTHING: Schema<null> = {
  safeParse: (value) =>
    value === null
      ? { success: true, data: null }
      : { success: false, error: { issues: [{ path: [], message: "there is something in it" }] } },
};

/** A call that sends `body` as JSON. */
export const postOf = (body: unknown): Call => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/**
 * Every method throws {EnvironmentError} UNREACHABLE when nobody answers, {RefusedError} with the server's own code when
 * it says no, {PeerError} ANSWER when it is not the server that this program knows.
 */
export class Client {
  readonly #connection: Connection;

  /** @throws {UsageError} URL when the base URL is not http or https. */
  constructor(connection: Connection) {
    if (!/^https?:\/\//.test(connection.url) || !URL.canParse(connection.url))
      throw new UsageError("URL", `${connection.url} is not a URL of the form http://HOST:PORT`);
    this.#connection = connection;
  }

  /** Begins an upload in pieces; see `uploadImage`. */
  async beginUpload(name: UploadName, sizeBytes: number): Promise<Upload> {
    const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
    return await this.call("uploads", Upload, {
      method: "POST",
      body: JSON.stringify({ ...name, sizeBytes }),
      headers,
    });
  }

  uploadState = (id: string): Promise<Upload> => this.call(`uploads/${segment(id)}`, Upload);

  async uploadPiece(id: string, offset: number, piece: Blob): Promise<Upload> {
    const headers = { "content-type": "application/octet-stream", "upload-offset": `${offset}` };
    return await this.call(`uploads/${segment(id)}`, Upload, { method: "PATCH", body: piece, headers });
  }

  async finishUpload(id: string): Promise<AddedImage> {
    const headers = { "idempotency-key": id };
    return await this.call(`uploads/${segment(id)}/finish`, AddedImage, { method: "POST", headers });
  }

  images = (): Promise<Image[]> => this.all("images", Image);

  image = (id: string): Promise<Image> => this.call(`images/${segment(id)}`, Image);

  /** The whole of an image, or of a delta; in memory. */
  async imageBytes(id: string): Promise<Uint8Array> {
    const answer = await this.#fetch(`firmware/${segment(id)}`, {});
    return new Uint8Array(
      await answer.arrayBuffer().catch((error: unknown) => {
        throw this.#unreachable(error);
      }),
    );
  }

  /** All devices, or those that an RSQL query finds. */
  devices = (query?: string): Promise<Device[]> => allOf(this.eachDevice(query));

  /** As `devices`, without holding all of them; `after` is the endpoint that the list goes on behind. */
  eachDevice(query?: string, after?: string): AsyncGenerator<Device> {
    const path = `devices${query === undefined ? "" : `?${new URLSearchParams({ query })}`}`;
    return this.#each(path, Device, after === undefined ? "" : Buffer.from(after).toString("base64url"));
  }

  /** Changes a device's tags and note. */
  async editDevice(endpoint: string, edit: DeviceEdit): Promise<Device> {
    const headers = { "content-type": "application/json" };
    return await this.call(`devices/${segment(endpoint)}`, Device, {
      method: "PATCH",
      body: JSON.stringify(edit),
      headers,
    });
  }

  /** Writes tags and notes of up to 1000 devices; returns the endpoints that no device has. */
  async importDevices(lines: DeviceLines["lines"]): Promise<string[]> {
    const headers = { "content-type": "application/json" };
    const call = { method: "POST", body: JSON.stringify({ lines }), headers } as const;
    return (await this.call("device-import", ImportAnswer, call)).unknown;
  }

  device = (endpoint: string): Promise<Device> => this.call(`devices/${segment(endpoint)}`, Device);

  /** The requests that wait for a device in their order, then those that have finished. */
  async queue(endpoint: string): Promise<QueuedRequest[]> {
    const { items } = await this.call(`devices/${segment(endpoint)}/queue`, pageOf(QueuedRequest));
    return items;
  }

  /** Takes back a request that has not been sent. */
  async cancelQueued(endpoint: string, id: string): Promise<void> {
    await this.#send(`devices/${segment(endpoint)}/queue/${segment(id)}`, { method: "DELETE" });
  }

  /** The newest events of a device, oldest of them first. */
  async timeline(endpoint: string, limit: number): Promise<Event[]> {
    const path = `devices/${segment(endpoint)}/events?limit=${limit}`;
    const { items } = await this.call(path, pageOf(Event));
    return items.reverse();
  }

  /** Starts an update; a lost answer can be asked for again, so it is started once. */
  async startUpdate(update: NewUpdate): Promise<Update> {
    const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
    return await this.call("updates", Update, { method: "POST", body: JSON.stringify(update), headers });
  }

  update = (id: string): Promise<Update> => this.call(`updates/${segment(id)}`, Update);

  /** Its last exchanges with the device, oldest first. */
  async exchanges(updateId: string): Promise<Exchange[]> {
    const { items } = await this.call(`updates/${segment(updateId)}/exchanges`, Exchanges);
    return items;
  }

  /** @returns The update as it stands after the command. */
  command = (updateId: string, command: "apply" | "cancel" | "retry"): Promise<Update> =>
    this.call(`updates/${segment(updateId)}/${command}`, Update, { method: "POST" });

  /** The bytes of the event feed, from the event after `afterId` on, or from now on. */
  async openFeed(query: Readonly<Record<string, string>>, afterId: number | undefined, signal?: AbortSignal) {
    const headers = {
      accept: "text/event-stream",
      ...(afterId !== undefined && { "last-event-id": `${afterId}` }),
    };
    const answer = await this.#send(`events?${new URLSearchParams(query)}`, { headers, signal });
    if (answer.body === null) throw this.#notOurs("an empty event feed");
    return answer.body;
  }

  /** A question whose answer has no content. */
  async tell(path: string, call: Call): Promise<void> {
    await this.#send(path, call);
  }

  /** Every page of a list. */
  async all<Item>(path: string, schema: Parameters<typeof pageOf>[0] & Schema<Item>): Promise<Item[]> {
    return await allOf(this.#each(path, schema));
  }

  /** Every item of a list, a page at a time. */
  each<Item>(path: string, schema: Parameters<typeof pageOf>[0] & Schema<Item>): AsyncGenerator<Item> {
    return this.#each(path, schema);
  }

  async *#each<Item>(
    path: string,
    schema: Parameters<typeof pageOf>[0] & Schema<Item>,
    from = "",
  ): AsyncGenerator<Item> {
    let cursor = from;
    for (;;) {
      const query = new URLSearchParams({ limit: `${LARGEST_PAGE}`, ...(cursor !== "" && { cursor }) });
      const page = await this.call(`${path}${path.includes("?") ? "&" : "?"}${query}`, pageOf(schema));
      yield* page.items as Item[];
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  /**
   * Asks one of the questions of `ROUTES`; its answer is checked against the route's schema.
   *
   * @param revision What the question is about was this when it was looked at (If-Match); it is refused, ETAG_MISMATCH, when it is not any more.
   */
  async ask<Of extends Route>(route: Of, asked: Asked<Of>, revision?: string): Promise<Answered<Of>> {
    const { method, path, body } = requestOf(route, asked);
    const headers = {
      ...(body !== undefined && { "content-type": "application/json" }),
      // A lost answer can be asked for again, and nothing is done twice.
      ...(method === "POST" && { "idempotency-key": randomUUID() }),
      ...(revision !== undefined && { "if-match": `"${revision}"` }),
    };
    const { answer } = route;
    const schema: Schema<unknown> = typeof answer === "object" && answer !== null ? answer : NOTHING;
    const call = { method, headers, ...(body !== undefined && { body }) };
    return (await this.call(path.slice(1), schema, call)) as Answered<Of>;
  }

  /** What is at `path`, under `/api/v1/`; null when the answer has no content. */
  async call<Value>(path: string, schema: Schema<Value>, call: Call = {}): Promise<Value> {
    const answer = await this.#send(path, call);
    const content = answer.status === 204 ? null : await answer.json().catch(() => undefined);
    const parsed = schema.safeParse(content);
    if (!parsed.success) throw this.#notOurs(faultOf(parsed.error));
    return parsed.data;
  }

  #send(path: string, call: Call): Promise<Response> {
    return this.#fetch(`api/v1/${path}`, call);
  }

  async #fetch(path: string, { method = "GET", body, headers, signal }: Call): Promise<Response> {
    const { url, token } = this.#connection;
    const answer = await fetch(`${url.replace(/\/+$/, "")}/${path}`, {
      method,
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    }).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    if (answer.ok) return answer;
    const problem = ProblemSchema.safeParse(await answer.json().catch(() => undefined));
    if (problem.success) throw new RefusedError(problem.data as Problem);
    throw this.#notOurs(`status ${answer.status}`);
  }

  #unreachable(error: unknown): Error {
    const { url } = this.#connection;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === "ECONNREFUSED" ? "connection refused, is `airlift serve` running there?" : `${cause}`;
    return new EnvironmentError("UNREACHABLE", `no answer from ${url}: ${reason}`, { url, code }, { cause: error });
  }

  #notOurs(what: string): PeerError {
    return new PeerError("ANSWER", `${this.#connection.url} does not answer like an airlift server: ${what}`);
  }
}

async function allOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/**
 * A name as one segment of a path. URLs know no way to write the three that are refused (RFC 3986 §5.2.4).
 *
 * @throws {UsageError} NAME
 */
export function segment(name: string): string {
  if (["", ".", ".."].includes(name)) throw new UsageError("NAME", `"${name}" is no name that can be asked for`);
  return encodeURIComponent(name);
}

/** The first of what is wrong with an answer; the others mostly follow from it. */
function faultOf({ issues: [first] }: SchemaError): string {
  return first === undefined ? "it cannot be read" : `${first.path.join(".") || "the answer"}: ${first.message}`;
}
