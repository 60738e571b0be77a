/** The audit log: each line carries the hash of the line before it. */
export const AUDIT = `
  create table audit (
    id bigint primary key,
    at timestamptz(3) not null,
    who text not null,
    role text,
    "from" text not null,
    action text not null,
    subject text not null,
    outcome integer not null,
    facts jsonb not null,
    hash text not null
  );
  create table audit_checkpoint (
    only_one boolean primary key default true check (only_one),
    cut_id bigint not null,
    cut_hash text not null,
    cut_at timestamptz(3) not null default now()
  );
`;
