/** Who may come in: credentials of devices, their authorities, tokens of people and programs, and their browser sessions. */
export const CREDENTIALS = `
  create table device_credentials (
    id text primary key,
    endpoint text collate "C" not null,
    kind text not null,
    purpose text not null,
    identity text collate "C" not null,
    secret bytea,
    key_version text,
    public_pem text,
    successor text,
    created_at timestamptz(3) not null default now(),
    last_used_at timestamptz(3),
    ends_at timestamptz(3),
    withdrawn_at timestamptz(3),
    unique (identity, kind),
    check ((kind = 'psk') = (secret is not null)),
    check ((secret is null) = (key_version is null))
  );
  create index device_credentials_of_endpoint on device_credentials (endpoint, created_at);
  create index device_credentials_by_end on device_credentials (ends_at) where ends_at is not null;
  create index device_credentials_by_successor on device_credentials (successor) where successor is not null;
  create index device_credentials_by_key on device_credentials (key_version) where key_version is not null;

  create table certificate_authorities (
    fingerprint text primary key,
    subject text not null,
    pem text not null,
    valid_until timestamptz(3) not null,
    created_at timestamptz(3) not null default now()
  );

  create table api_tokens (
    id text primary key,
    seq bigint generated always as identity unique,
    hash text not null unique,
    name text not null,
    role text not null,
    created_at timestamptz(3) not null default now(),
    expires_at timestamptz(3),
    last_used_at timestamptz(3),
    revoked_at timestamptz(3)
  );

  create table api_sessions (
    hash text primary key,
    token_id text not null references api_tokens on delete cascade,
    created_at timestamptz(3) not null default now(),
    expires_at timestamptz(3) not null
  );
  create index api_sessions_of_token on api_sessions (token_id, created_at);
`;
