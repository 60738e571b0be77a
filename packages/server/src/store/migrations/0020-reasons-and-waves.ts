/** Why a webhook was disabled, the headers of kept answers, and a campaign's devices by wave. */
export const REASONS_AND_WAVES = `
  alter table webhooks add column disabled_reason text;
  alter table kept_answers add column headers jsonb not null default '{}';
  create index campaign_targets_of_wave on campaign_targets (campaign_id, wave, endpoint);
`;
