/** What an update is for, which attempt it is, since when its sentence holds, and its exchanges with the device. */
export const EXCHANGES = `
  alter table updates
    add column target text not null default 'firmware',
    add column attempt integer not null default 1,
    add column said_at timestamptz(3) not null default now();

  create table exchanges (
    update_id text not null references updates on delete cascade,
    slot integer not null,
    attempt integer not null,
    number integer not null,
    at timestamptz(3) not null,
    request text not null,
    answer text not null,
    took_ms integer not null,
    retransmission_count integer not null,
    transfer jsonb,
    primary key (update_id, slot)
  ) with (fillfactor = 80);
`;
