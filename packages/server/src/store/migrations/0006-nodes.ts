/** The servers on this database, and which of them drives an update and holds a device's registration. */
export const NODES = `
  create table nodes (
    id text primary key,
    run bigint not null default 1,
    address text,
    started_at timestamptz(3) not null default now(),
    lease_until timestamptz(3) not null
  );
  alter table devices add column node_id text;
  alter table updates add column node_id text, add column campaign_id text, add column wave integer;
  alter table events add column campaign_id text;
  create index events_of_campaign on events (campaign_id, id) where campaign_id is not null;
  create index updates_of_node on updates (node_id) where finished_at is null;
`;
