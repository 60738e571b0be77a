/** What retention looks for. */
export const RETENTION = `
  create index updates_of_finish on updates (finished_at) where finished_at is not null;
  create index events_by_age on events using brin (at);
`;
