/** Images, devices, updates, events and the answers kept for Idempotency-Key. */
export const FIRST = `
  create table images (
    id text primary key,
    seq bigint generated always as identity unique,
    manufacturer text not null,
    model text not null,
    version text not null,
    hardware jsonb not null default '[]',
    size_bytes bigint not null check (size_bytes > 0),
    sha256 text not null,
    format text not null,
    signature jsonb,
    security_counter bigint,
    created_at timestamptz(3) not null default now(),
    unique (manufacturer, model, version)
  );

  create table devices (
    endpoint text collate "C" primary key,
    registration_id text not null,
    presence text not null,
    transport text not null,
    address text not null,
    lwm2m_version text not null,
    binding text not null,
    queue_mode boolean not null,
    lifetime_s bigint not null,
    objects jsonb not null,
    registered_at timestamptz(3) not null,
    last_seen_at timestamptz(3) not null,
    expires_at timestamptz(3) not null,
    manufacturer text,
    model text,
    version text,
    hardware text,
    firmware jsonb
  ) with (fillfactor = 70);

  create table updates (
    id text primary key,
    seq bigint generated always as identity unique,
    endpoint text collate "C" not null,
    image_id text not null references images,
    by text not null,
    apply boolean not null,
    state text not null,
    failure text,
    sentence text not null,
    method text,
    package_uri text,
    acknowledged_bytes bigint not null default 0,
    total_bytes bigint not null default 0,
    snapshot jsonb,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    finished_at timestamptz(3)
  ) with (fillfactor = 80);
  create index updates_of_endpoint on updates (endpoint, seq desc);
  create index updates_of_state on updates (state, seq desc);
  create unique index updates_unfinished on updates (endpoint) where finished_at is null;

  create table events (
    id bigint generated always as identity primary key,
    at timestamptz(3) not null default clock_timestamp(),
    kind text not null,
    endpoint text collate "C",
    update_id text,
    sentence text not null,
    facts jsonb not null default '{}'
  );
  create index events_of_endpoint on events (endpoint, id) where endpoint is not null;
  create index events_of_update on events (update_id, id) where update_id is not null;

  create table kept_answers (
    key text primary key,
    fingerprint text not null,
    status integer,
    content_type text,
    body text,
    created_at timestamptz(3) not null default now()
  );
  create index kept_answers_by_age on kept_answers (created_at);
`;
