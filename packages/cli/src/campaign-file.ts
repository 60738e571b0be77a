/** The file of `airlift campaign create`: YAML to what the server reads, and its mistakes by their lines. */
import { type Mistake, mistakesIn, mistakeText } from "@airlift/protocol/api/mistakes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Document, isNode, LineCounter, parseDocument, visit } from "yaml";
import { RefusedError } from "./failure.ts";

/** A campaign's file as it was read. */
export interface CampaignFile {
  /** As it was written. */
  readonly content: unknown;
  /** What the server says of a place in the spec, each mistake by its line; any other error as it is. */
  locate(error: unknown): unknown;
}

/** Of a broken file; the others are seldom more than what follows from these. */
const MOST_MISTAKES = 20;
/** To YAML some of them are numbers, 0123456789012345 or 12345678901234e5. */
const IMAGE_ID = /^[0-9a-f]{16}$/;
/** Aliases that one file may use. */
const MOST_ALIASES = 10;

/**
 * Reads a campaign's file.
 *
 * @throws {UsageError} `YAML_SYNTAX` with every mistake by its line.
 */
export function readCampaignFile(text: string): CampaignFile {
  const lines = new LineCounter();
  // Without the pretty ones, which are several lines each.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const mistakes = document.errors.slice(0, MOST_MISTAKES).map(({ message, pos }) => {
      const { line, col } = lines.linePos(pos[0]);
      return `line ${line}, column ${col}: ${message.replaceAll(/\s*\n\s*/g, " ")}`;
    });
    throw new UsageError("YAML_SYNTAX", mistakes.join("\n"), { count: document.errors.length });
  }
  if (document.contents === null) throw new UsageError("YAML_SYNTAX", "there is nothing in the file");
  visit(document, {
    Scalar: (_, scalar) => {
      if (typeof scalar.value === "number" && IMAGE_ID.test(scalar.source ?? "")) scalar.value = scalar.source;
    },
  });
  const inOrder = (mistakes: readonly Mistake[]) =>
    mistakes
      .map((mistake) => ({ line: lineOf(document, lines, mistake.path), text: mistakeText(mistake) }))
      .sort((one, other) => one.line - other.line)
      .map(({ line, text: told }) => `line ${line}: ${told}`);
  try {
    return {
      content: document.toJS({ maxAliasCount: MOST_ALIASES }),
      locate: (error) => {
        if (!(error instanceof RefusedError) || error.code !== "CAMPAIGN_SPEC") return error;
        return new UsageError("CAMPAIGN_SPEC", inOrder(mistakesIn(error.facts)).join("\n"), error.facts);
      },
    };
  } catch (error) {
    if (error instanceof ReferenceError) throw new UsageError("YAML_SYNTAX", error.message, {}, { cause: error });
    throw error;
  }
}

/** The line of a member, or of the nearest one around it. */
function lineOf(document: Document, lines: LineCounter, path: string): number {
  const keys = path === "" ? [] : path.split(".").map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  for (let count = keys.length; count > 0; count -= 1) {
    const node = document.getIn(keys.slice(0, count), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
