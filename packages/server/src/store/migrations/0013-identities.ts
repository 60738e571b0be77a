/** Who is behind a name: the account that signed in, on its token and on what it did; and which devices have proved theirs. */
export const IDENTITIES = `
  alter table api_tokens add column account text;
  alter table audit add column person text;

  alter table devices add column secured_at timestamptz(3);
  update devices set secured_at = registered_at where transport in ('dtls', 'tls');
`;
