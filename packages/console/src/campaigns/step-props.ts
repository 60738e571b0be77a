/** What a step of the wizard is given. */
import type { CampaignDraft } from "./draft.ts";

export interface StepProps {
  readonly draft: CampaignDraft;
  readonly onChange: (change: Partial<CampaignDraft>) => void;
}
