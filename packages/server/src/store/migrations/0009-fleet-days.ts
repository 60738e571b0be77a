/** How many devices ran which version, a row for each day and version: what no event tells once devices are many; and where an image was used. */
export const FLEET_DAYS = `
  create table fleet_days (
    day date not null,
    version text not null,
    device_count integer not null,
    counted_at timestamptz(3) not null,
    primary key (day, version)
  );
  create index updates_of_image on updates (image_id, seq desc);
`;
