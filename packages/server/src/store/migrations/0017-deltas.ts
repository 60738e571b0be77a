/** Differential images: each makes one image of the store from another one; and the updates for which one may be sent. */
export const DELTAS = `
  create table deltas (
    id text primary key,
    seq bigint generated always as identity unique,
    image_id text not null references images (id),
    base_id text not null references images (id),
    size_bytes bigint not null check (size_bytes > 0),
    sha256 text not null,
    created_at timestamptz(3) not null default now(),
    unique (image_id, base_id)
  );

  alter table updates add column delta boolean not null default false;
`;
