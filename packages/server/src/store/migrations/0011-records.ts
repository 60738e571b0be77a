/** Webhooks with what waits to be sent to them, and the indexes by which old records are found and deleted. */
export const RECORDS = `
  create table webhooks (
    id text primary key,
    seq bigint generated always as identity unique,
    url text not null,
    kinds text[] not null default '{}',
    campaign_id text,
    is_enabled boolean not null default true,
    note text not null default '',
    secret bytea not null,
    key_version text not null,
    position bigint not null,
    created_at timestamptz(3) not null default now()
  );

  create table webhook_deliveries (
    id text primary key,
    seq bigint generated always as identity unique,
    webhook_id text not null references webhooks on delete cascade,
    event_id bigint,
    kind text not null,
    body text not null,
    state text not null default 'waiting',
    attempts integer not null default 0,
    created_at timestamptz(3) not null default now(),
    next_at timestamptz(3) not null default now(),
    lease_until timestamptz(3),
    status integer,
    problem text,
    finished_at timestamptz(3)
  ) with (fillfactor = 80);
  create index webhook_deliveries_of_webhook on webhook_deliveries (webhook_id, state, seq desc);
  create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_at) where state = 'waiting';
  create index webhook_deliveries_by_end on webhook_deliveries (finished_at) where finished_at is not null;

  alter table updates add column has_exchanges boolean not null default true;
  create index updates_by_end on updates (finished_at) where finished_at is not null;
  create index updates_with_exchanges on updates (finished_at) where finished_at is not null and has_exchanges;
  create index device_requests_by_end on device_requests (finished_at) where finished_at is not null;
`;
