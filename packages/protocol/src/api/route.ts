/** One question of the REST API: what it is asked with, what comes back, and how it is written down for HTTP. */
import type { z } from "zod";

/** One question. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Under `/api/v1`, parameters in braces; `{*}` is a path of its own. */
  readonly path: string;
  /** Names that may stand behind the question mark. */
  readonly query?: readonly string[];
  /** What is sent as JSON; "octets" = as it is; absent = nothing. */
  readonly body?: z.ZodType | "octets";
  /** What comes back as JSON; null = nothing; "events" = server-sent events; "octets" = a file as it is. */
  readonly answer: z.ZodType | null | "events" | "octets";
}

type ParameterNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterNames<Rest>
  : never;

type Parameters<Path extends string> = [ParameterNames<Path>] extends [never]
  ? { readonly params?: undefined }
  : { readonly params: Readonly<Record<ParameterNames<Path>, string>> };

type Query<Of> = Of extends { readonly query: readonly (infer Name extends string)[] }
  ? { readonly query?: Readonly<Partial<Record<Name, string | number | undefined>>> }
  : { readonly query?: undefined };

type Body<Of> = Of extends { readonly body: infer Schema }
  ? Schema extends z.ZodType
    ? { readonly body: z.input<Schema> }
    : { readonly body?: undefined }
  : { readonly body?: undefined };

/** What a question is asked with. */
export type Asked<Of extends Route> = Parameters<Of["path"]> & Query<Of> & Body<Of>;

/** What comes back; null when nothing does. */
export type Answered<Of extends Route> = Of["answer"] extends z.ZodType ? z.output<Of["answer"]> : null;

/** As any route may be asked. */
interface AskedAnything {
  readonly params?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly body?: unknown;
}

/** A question as HTTP has it. */
export interface RouteRequest {
  readonly method: Route["method"];
  /** With its query, beginning with a slash; to be put behind "https://HOST/api/v1". */
  readonly path: string;
  /** JSON. */
  readonly body: string | undefined;
}

/** Writes a question down. Octets and headers are the caller's to add. */
export function requestOf<Of extends Route>({ method, path }: Of, asked: Asked<Of>): RouteRequest {
  const { params = {}, query = {}, body }: AskedAnything = asked;
  const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => segmentOf(name, params[name] ?? ""));
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  return {
    method,
    path: pairs.length === 0 ? filled : `${filled}?${pairs.join("&")}`,
    body: body === undefined ? undefined : JSON.stringify(body),
  };
}

/** A name as one segment of a path, or for `{*}` as the segments that it has. */
function segmentOf(name: string, value: string): string {
  if (name !== "*") return encodeURIComponent(value);
  return value.split("/").map(encodeURIComponent).join("/");
}
