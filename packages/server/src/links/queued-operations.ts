/** Requests that wait, as LwM2M asks them. */

import { METHOD } from "@airlift/protocol/coap/codes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { decodePaths } from "@airlift/protocol/lwm2m/composite";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import {
  createRequest,
  deleteRequest,
  discoverRequest,
  readRequest,
  writeRequest,
} from "@airlift/protocol/lwm2m/operations";
import { formatPath, type Path, parsePath, ROOT, segmentsOf } from "@airlift/protocol/lwm2m/path";
import { decodePayload } from "@airlift/protocol/lwm2m/payload";
import { type Lwm2mRequest, requestOf } from "@airlift/protocol/lwm2m/request";
import type { QueuedOperation, RequestContent } from "../fleet/queued-request.ts";

/** How deep the path of an operation may be: object, instance, resource, resource instance. */
const LEVELS: Readonly<Record<QueuedOperation, readonly [number, number]>> = {
  read: [1, 4],
  discover: [1, 4],
  write: [2, 4],
  update: [2, 3],
  writeAttributes: [1, 4],
  execute: [3, 3],
  create: [1, 1],
  delete: [2, 4],
  readComposite: [0, 0],
  writeComposite: [0, 0],
};

/** @throws {UsageError} REQUEST when the path does not fit the operation. */
export function toLwm2mRequest(request: RequestContent): Lwm2mRequest {
  const { operation, accept } = request;
  const path = pathFor(request);
  const payload = new Uint8Array(Buffer.from(request.payload ?? "", "base64"));
  const content = { contentFormat: request.contentFormat ?? CONTENT_FORMATS.text, payload };
  switch (operation) {
    case "read":
      return readRequest(path, accept);
    case "discover":
      return discoverRequest(path);
    case "write":
      return writeRequest(path, "replace", content);
    case "update":
      return writeRequest(path, "update", content);
    case "writeAttributes":
      return requestOf({ code: METHOD.put, uriPath: segmentsOf(path), uriQuery: request.query ?? [] });
    case "execute":
      return requestOf({ code: METHOD.post, uriPath: segmentsOf(path), ...(payload.length > 0 && content) });
    case "create":
      return createRequest(path, content);
    case "delete":
      return deleteRequest(path);
    case "readComposite":
      return requestOf({ code: METHOD.fetch, ...content, accept });
    case "writeComposite":
      return requestOf({ code: METHOD.iPatch, ...content });
  }
}

/** With the paths that the payload of a composite operation names. */
export function withPaths(content: RequestContent): RequestContent {
  const { operation, contentFormat = CONTENT_FORMATS.text } = content;
  if (operation !== "readComposite" && operation !== "writeComposite") return content;
  const payload = new Uint8Array(Buffer.from(content.payload ?? "", "base64"));
  try {
    const paths =
      operation === "readComposite"
        ? decodePaths(contentFormat, payload)
        : decodePayload(contentFormat, payload, { base: ROOT, models: STANDARD_MODELS }).map(({ path }) => path);
    return paths.length === 0 ? content : { ...content, paths: paths.map(formatPath) };
  } catch (error) {
    // It goes out as it is: the device may understand it.
    if (error instanceof PeerError) return content;
    throw error;
  }
}

/** What is asked now as what goes on record. */
export function toRequestContent(operation: QueuedOperation, request: Lwm2mRequest): RequestContent {
  const { uriPath, uriQuery, contentFormat, accept, payload } = request;
  return {
    operation,
    path: `/${uriPath.join("/")}`,
    ...(contentFormat !== undefined && { contentFormat }),
    ...(accept !== undefined && operation !== "discover" && { accept }),
    ...(uriQuery.length > 0 && { query: uriQuery }),
    ...(payload.length > 0 && { payload: Buffer.from(payload).toString("base64") }),
  };
}

function pathFor({ operation, path: text }: RequestContent): Path {
  const [least, most] = LEVELS[operation];
  let path: Path;
  try {
    path = parsePath(text);
  } catch (cause) {
    throw new UsageError("REQUEST", `${text} is no path of LwM2M`, { path: text }, { cause });
  }
  if (path.length >= least && path.length <= most) return path;
  throw new UsageError("REQUEST", `${operation} does not go with the path ${text}`, { operation, path: text });
}
