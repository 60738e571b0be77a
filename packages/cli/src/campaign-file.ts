/** The file of `airlift campaign create`: YAML to a campaign's spec. */

import type { CampaignSpec } from "@airlift/protocol/api/campaign";
import { readCampaignSpec } from "@airlift/protocol/api/campaign-file";
import { UsageError } from "@airlift/protocol/lib/errors";
import { parse, YAMLParseError } from "yaml";

/**
 * Reads a campaign's file.
 *
 * @throws {UsageError} `YAML_SYNTAX` with the line; `CAMPAIGN_SPEC` with every mistake by its place.
 */
export function readCampaignFile(text: string): CampaignSpec {
  try {
    return readCampaignSpec(parse(text, { maxAliasCount: 10 }));
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new UsageError("YAML_SYNTAX", error.message, { line: error.linePos?.[0].line });
  }
}
