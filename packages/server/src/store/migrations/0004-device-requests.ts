/** Requests that wait for sleeping devices, and what became of the last ones. */
export const DEVICE_REQUESTS = `
  create table device_requests (
    id text primary key,
    seq bigint generated always as identity unique,
    endpoint text collate "C" not null,
    content jsonb not null,
    state text not null,
    attempts integer not null default 0,
    submitted_at timestamptz(3) not null,
    expires_at timestamptz(3) not null,
    finished_at timestamptz(3),
    outcome text,
    answer jsonb
  ) with (fillfactor = 80);
  create index device_requests_of_endpoint on device_requests (endpoint, seq desc);
  create index device_requests_open on device_requests (seq) where finished_at is null;
`;
