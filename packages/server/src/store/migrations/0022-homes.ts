/** The server that a device spoke to last, which another one may stand in for. Of those that were registered before, whoever has them counts. */
export const HOMES = `
  alter table devices add column home_id text;
  update devices set home_id = node_id where node_id is not null;
`;
