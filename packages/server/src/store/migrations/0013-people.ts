/** Who is behind a name: the account that signed in, on its token and on what it did. */
export const PEOPLE = `
  alter table api_tokens add column account text;
  alter table audit add column person text;
`;
