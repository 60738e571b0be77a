/** Devices that campaigns let apply, by when that ends; and what was forgiven is never less than nothing. */
export const PERMITS = `
  create index campaign_targets_permitted on campaign_targets (campaign_id, wave, not_before_ms) where is_apply_permitted;
`;
