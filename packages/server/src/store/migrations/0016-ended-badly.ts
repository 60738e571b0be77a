/** Devices that campaigns left without their image: few among many, and looked for. */
export const ENDED_BADLY = `
  create index campaign_targets_ended_badly on campaign_targets (campaign_id, endpoint)
    where state in ('failed', 'silent', 'fellBack', 'cancelled', 'skipped');
`;
