/** Devices behind radio gateways: their keys, groups, gateways, what gateways are told, and the broadcasts. */
export const MESH = `
  create table mesh_secrets (place text primary key, secret bytea not null, key_version text not null);
  create index mesh_secrets_by_key on mesh_secrets (key_version);

  create table mesh_groups (
    id text primary key,
    manufacturer text not null,
    model text not null,
    name text not null unique,
    generation integer not null default 1,
    next_fseq integer not null default 1,
    unique (manufacturer, model)
  );

  create table mesh_devices (
    endpoint text collate "C" primary key,
    name text not null unique,
    group_id text not null references mesh_groups,
    joined_generation integer not null default 0,
    next_fseq integer not null default 0,
    last_fseq integer not null default -1,
    cell text,
    gateway_id text,
    heard_at timestamptz(3),
    received_count integer,
    deficit integer,
    battery integer,
    asked_at timestamptz(3),
    ask_count integer not null default 0
  ) with (fillfactor = 70);
  create index mesh_devices_of_group on mesh_devices (group_id, cell, endpoint);

  create table mesh_releases (
    image_id text primary key references images,
    name text not null unique,
    manifest_name text not null unique,
    packed jsonb not null
  );

  create table gateways (
    id text primary key,
    cells text[] not null,
    band text not null,
    rate_bps integer not null,
    loss double precision not null,
    last_order integer not null default 0,
    last_report bigint not null default 0,
    state jsonb,
    seen_at timestamptz(3)
  ) with (fillfactor = 70);

  create table gateway_orders (
    gateway_id text not null references gateways on delete cascade,
    number integer not null,
    content jsonb not null,
    session_id text,
    is_over boolean not null default false,
    created_at timestamptz(3) not null default now(),
    primary key (gateway_id, number)
  );
  create index gateway_orders_open on gateway_orders (gateway_id, number) where not is_over;

  create table mesh_sessions (
    id text primary key,
    seq bigint generated always as identity unique,
    campaign_id text,
    image_id text not null references images,
    group_id text not null,
    gateway_id text not null,
    cells text[] not null,
    device_count integer not null,
    update_at_ms bigint not null,
    windows jsonb not null,
    planned_airtime_ms double precision not null,
    progress jsonb,
    outcome text,
    detail text,
    created_at timestamptz(3) not null default now(),
    ended_at timestamptz(3)
  );
  create index mesh_sessions_of_campaign on mesh_sessions (campaign_id, seq);
  create index mesh_sessions_open on mesh_sessions (image_id) where ended_at is null;

  create table gateway_airtime (
    gateway_id text not null references gateways on delete cascade,
    band text not null,
    minute timestamptz(3) not null,
    used_ms double precision not null,
    budget_ms double precision not null,
    window_ms double precision not null,
    primary key (gateway_id, band, minute)
  );

  alter table updates add column mesh_session_id text;
  create index updates_of_mesh_session on updates (mesh_session_id, endpoint) where mesh_session_id is not null;
`;
