/** How many broadcasts an update was part of: whom they do not reach is not broadcast to for ever. */
export const BROADCAST_ROUNDS = `
  alter table updates add column broadcast_count integer not null default 0;
`;
