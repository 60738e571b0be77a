/** Which server sends a request that waits, and what devices are asked to tell. */
export const SEVERAL_SERVERS = `
  alter table device_requests add column node_id text;

  create table observations (
    id text primary key,
    endpoint text collate "C" not null,
    paths jsonb not null,
    created_at timestamptz(3) not null default now()
  );
  create index observations_of_endpoint on observations (endpoint, created_at);
`;
