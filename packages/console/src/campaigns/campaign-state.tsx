/** A campaign's or a wave's state as a word with a colour. */
import type { Campaign, Wave } from "@airlift/protocol/api/campaign";
import { Badge } from "@mantine/core";
import { wordsOf } from "./outcome-bar.tsx";

const COLOURS: Readonly<Record<string, string>> = {
  draft: "gray",
  awaitingApproval: "orange",
  ready: "blue",
  running: "blue",
  paused: "orange",
  finished: "teal",
  stopped: "gray",
  aborted: "red",
  waiting: "gray",
  soaking: "grape",
  passed: "teal",
  failed: "red",
};

export const CampaignState = ({ state }: { readonly state: Campaign["state"] | Wave["state"] }) => (
  <Badge variant="light" color={COLOURS[state] ?? "blue"} tt="none" className="whole">
    {wordsOf(state)}
  </Badge>
);
