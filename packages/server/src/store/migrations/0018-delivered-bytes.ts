/** What the devices of a wave have received: counted with each report, here first from the updates that there are. */
export const DELIVERED_BYTES = `
  alter table campaign_targets add column delivered_bytes bigint not null default 0;

  update campaign_targets t set delivered_bytes = u.acknowledged_bytes
  from updates u where u.campaign_id = t.campaign_id and u.endpoint = t.endpoint and u.attempt = t.attempt;

  update campaigns c set value = jsonb_set(c.value, '{waves}', (
    select coalesce(jsonb_agg(w.wave || jsonb_build_object('deliveredBytes', (
        select coalesce(sum(u.acknowledged_bytes), 0) from updates u
        join campaign_targets t on t.campaign_id = u.campaign_id and t.endpoint = u.endpoint
        where u.campaign_id = c.id and t.wave = w.place - 1)) order by w.place), '[]'::jsonb)
    from jsonb_array_elements(c.value -> 'waves') with ordinality as w (wave, place)));
`;
