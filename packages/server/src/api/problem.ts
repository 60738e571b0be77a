/** Failures as RFC 9457 problem details: who has to act decides the status, the code says what happened. */
import { STATUS_CODES } from "node:http";
import { MOST_MISTAKES, mistakesOf, mistakesText } from "@airlift/protocol/api/mistakes";
import type { Problem } from "@airlift/protocol/api/schemas";
import { AirliftError, EnvironmentError, type Facts, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import type { z } from "zod";

export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

/** Statuses that differ from those of the family. A code that begins with UNKNOWN_ is 404. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  CURSOR: 400,
  QUERY_FIELD: 400,
  QUERY_SYNTAX: 400,
  QUERY_TOO_BROAD: 400,
  QUERY_VALUE: 400,
  UPLOAD_CUT: 400,
  UNKNOWN_NAME: 422,
  VALIDATION: 400,
  TOKEN_MISSING: 401,
  TOKEN_REFUSED: 401,
  OIDC_NO_ROLE: 403,
  OIDC_REFUSED: 403,
  ORIGIN_REFUSED: 403,
  ROLE_REFUSED: 403,
  GATEWAY_REFUSED: 403,
  GATEWAY_EXISTS: 409,
  MESH_DEVICE_EXISTS: 409,
  NAME_COLLISION: 409,
  SAME_PERSON: 403,
  NO_SUCH_ROUTE: 404,
  IMAGE_CONFLICT: 409,
  DELTA_CONFLICT: 409,
  DELTAS_FULL: 409,
  IMAGE_MISMATCH: 409,
  UPDATE_RUNNING: 409,
  UPDATE_FINISHED: 409,
  UPDATE_STATE: 409,
  CAMPAIGN_PERMIT: 409,
  CAMPAIGN_UPDATE: 409,
  REQUEST_SENT: 409,
  QUEUE_FULL: 429,
  UPDATE_TAKEN: 409,
  WEBHOOKS_FULL: 409,
  WEBHOOK_RESTS: 409,
  IDEMPOTENCY_RUNNING: 409,
  DEVICE_ASLEEP: 409,
  DEVICE_GONE: 409,
  DEVICE_REFUSED: 409,
  NOT_OBSERVABLE: 409,
  OBSERVATIONS_FULL: 409,
  COMPOSITE_VERSION: 409,
  IDEMPOTENCY_LOST: 409,
  CREDENTIAL_EXISTS: 409,
  CREDENTIALS_FULL: 409,
  AUTHORITIES_FULL: 409,
  MASTER_KEY_FIXED: 409,
  CAMPAIGN_STATE: 409,
  DRAFT_EDITORS: 409,
  NO_ROLLBACK: 409,
  ROLLBACK_PREPARED: 409,
  TARGET_STATE: 409,
  UPLOAD_OFFSET: 409,
  UPLOAD_BUSY: 409,
  UPLOAD_INCOMPLETE: 409,
  ETAG_MISMATCH: 412,
  IMAGE_TOO_LARGE: 413,
  RANGE: 416,
  HOST_REFUSED: 421,
  NODE_MISDIRECTED: 421,
  DEVICE_BUSY: 429,
  TOO_MANY_ATTEMPTS: 429,
  UPDATES_FULL: 503,
  DEVICE_SILENT: 504,
  NODE_LOST: 504,
  DISK_FULL: 507,
};

/** Fastify's own refusals, of requests that never reached a handler. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = { 413: "BODY_TOO_LARGE", 415: "MEDIA_TYPE" };

export function statusOf(error: AirliftError): number {
  const status = STATUS_OF_CODE[error.code];
  if (status !== undefined) return status;
  if (error instanceof UsageError) return error.code.startsWith("UNKNOWN_") ? 404 : 422;
  if (error instanceof EnvironmentError) return 503;
  return error instanceof PeerError ? 502 : 500;
}

export function problemOf(error: AirliftError): Problem {
  const status = statusOf(error);
  if (status === 500) return internalProblem();
  return createProblem({ status, code: error.code, detail: error.message, facts: error.facts });
}

/** Answers a request with what `error` is to its sender; what we are to blame for goes to the log alone. */
export async function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const problem = toProblem(error);
  report(problem, error, request.log);
  if (problem.status === 401) reply.header("www-authenticate", 'Bearer realm="airlift"');
  if (problem.status === 429) reply.header("retry-after", `${problem.facts?.["retryAfterS"] ?? 60}`);
  if (problem.status === 503) reply.header("retry-after", "2");
  return await reply
    .status(problem.status)
    .header("content-type", PROBLEM_TYPE)
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problem);
}

function toProblem(error: unknown): Problem {
  if (error instanceof AirliftError) return problemOf(error);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation
      .flatMap(({ keyword, instancePath, message, params }) =>
        mistakesOf({
          ...params,
          code: keyword,
          path: instancePath.split("/").slice(1).filter(Boolean),
          message,
        } as z.core.$ZodIssue),
      )
      .slice(0, MOST_MISTAKES);
    return createProblem({ status: 400, code: "VALIDATION", detail: mistakesText(problems), facts: { problems } });
  }
  const status = (error as Partial<FastifyError>).statusCode ?? 500;
  if (status < 400 || status >= 500) return internalProblem();
  return createProblem({ status, code: CODE_OF_STATUS[status] ?? "BAD_REQUEST", detail: (error as Error).message });
}

const internalProblem = (): Problem =>
  createProblem({ status: 500, code: "INTERNAL", detail: "the server made a mistake; its log says more" });

interface Occurrence {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly facts?: Facts;
}

function createProblem({ status, code, detail, facts }: Occurrence): Problem {
  const type = `urn:airlift:problem:${code.toLowerCase().replaceAll("_", "-")}`;
  const problem = { type, title: STATUS_CODES[status] ?? "Error", status, detail, code };
  return facts === undefined || Object.keys(facts).length === 0 ? problem : { ...problem, facts: { ...facts } };
}

function report(problem: Problem, error: unknown, log: FastifyBaseLogger): void {
  if (problem.status === 500) log.error({ err: error }, "a request met a mistake of the server");
  else if (problem.status === 503 || problem.status === 507)
    log.warn({ code: problem.code, facts: problem.facts }, problem.detail);
  else log.debug({ code: problem.code }, problem.detail);
}
