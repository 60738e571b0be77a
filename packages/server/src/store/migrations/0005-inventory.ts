/** What operators add to a device and what campaigns choose devices by, with the indexes of the inventory's queries. */
export const INVENTORY = `
  alter table devices
    add column tags text[] not null default '{}',
    add column note text not null default '',
    add column revision bigint not null default 0,
    add column resources jsonb not null default '{}',
    add column cell text,
    add column signal integer,
    add column battery integer,
    add column utc_offset text,
    add column timezone text,
    add column failure_count integer not null default 0,
    add column last_failure text;
  create index devices_of_model on devices (model, version, endpoint);
  create index devices_of_manufacturer on devices (manufacturer, model, endpoint);
  create index devices_of_version on devices (version, endpoint);
  create index devices_of_tag on devices using gin (tags) with (fastupdate = off);
  create index devices_of_resource on devices using gin (resources jsonb_path_ops) with (fastupdate = off);
  create index devices_of_cell on devices (cell, endpoint) where cell is not null;
  create index devices_failing on devices (failure_count, endpoint) where failure_count > 0;
`;
