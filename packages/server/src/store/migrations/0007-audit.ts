/** The audit log: each line carries the hash of the line before it. */
export const AUDIT = `
  create table audit (
    id bigint primary key,
    at text not null,
    who text not null,
    role text,
    peer text not null,
    action text not null,
    outcome integer not null,
    hash text not null
  );
`;
