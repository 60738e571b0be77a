/** The content format that an observation was asked for in, so that it is made anew in the same one; null = the one that suits. */
export const OBSERVATION_FORMATS = `
  alter table observations add column format integer;
`;
