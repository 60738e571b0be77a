/** What a sign-in came to nothing by: the person or their browser, a provider that is away, or two programs that were not set up for each other. */
import { type AirliftError, EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";

/** Errors of a token endpoint that no person can help (RFC 6749 §5.2). */
const SETUP_ERRORS: readonly string[] = [
  "invalid_client",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
];
/** What the provider said or left out, as `openid-client` calls it: the next browser meets the same. */
const SETUP_CODES: readonly string[] = [
  "OAUTH_WWW_AUTHENTICATE_CHALLENGE",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
  "OAUTH_MISSING_SERVER_METADATA",
  "OAUTH_INVALID_SERVER_METADATA",
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_RESPONSE_IS_NOT_JSON",
  "OAUTH_PARSE_ERROR",
  "OAUTH_UNSUPPORTED_OPERATION",
];
const AWAY_CODES: readonly string[] = ["OAUTH_TIMEOUT", "OAUTH_ABORT"];
/** A reason's length at the most: the provider writes part of it. */
const LONGEST_REASON = 400;

/** {EnvironmentError} OIDC_AWAY or OIDC_SETUP, {UsageError} OIDC_REFUSED (403). Its message may be shown to anybody; its cause is for the log. */
export function signInFailure(error: unknown): AirliftError {
  const { code = "", error: said = "", cause } = fieldsOf(error);
  const status = cause instanceof Response ? cause.status : undefined;
  if (error instanceof TypeError || AWAY_CODES.includes(code) || (status !== undefined && status >= 500))
    return new EnvironmentError("OIDC_AWAY", "the sign-in provider does not answer", {}, { cause: error });
  if (SETUP_CODES.includes(code) || SETUP_ERRORS.includes(said)) return setupFailure(error);
  return new UsageError("OIDC_REFUSED", "the provider did not sign this browser in", {}, { cause: error });
}

/** As `signInFailure`, of the provider's own description: no person has a part in that. */
export function discoveryFailure(error: unknown): AirliftError {
  const failure = signInFailure(error);
  return failure.code === "OIDC_REFUSED" ? setupFailure(error) : failure;
}

function setupFailure(cause: unknown): EnvironmentError {
  const sentence = "this server and the sign-in provider are not set up for each other: the server's log says where";
  return new EnvironmentError("OIDC_SETUP", sentence, {}, { cause });
}

/** Why, for whoever runs the server: what was expected, and what the provider said. */
export function reasonOf(failure: AirliftError): string {
  const parts: string[] = [];
  for (let error: unknown = failure.cause; error instanceof Error && parts.length < 4; error = error.cause) {
    const { code = "", error: said, error_description: more, cause, status } = fieldsOf(error);
    if (code === "OAUTH_JWT_TIMESTAMP_CHECK_FAILED")
      parts.push("the clocks of this server and of the provider do not agree");
    // What a name stands for was tried address by address: each has a text, their sum has none.
    parts.push(error.message || code);
    if (said !== undefined) parts.push([said, more].filter(Boolean).join(", "));
    if (status !== undefined || cause instanceof Response)
      parts.push(`HTTP status ${status ?? (cause as Response).status}`);
  }
  const text = [...new Set(parts)].join(": ") || failure.message;
  return text.replaceAll(/\p{Cc}/gu, " ").slice(0, LONGEST_REASON);
}

interface Fields {
  readonly code?: string;
  readonly error?: string;
  readonly error_description?: string;
  readonly cause?: unknown;
  readonly status?: number;
}

const fieldsOf = (error: unknown): Fields => (error instanceof Error ? (error as Fields) : {});
