/**
 * Devices that campaigns let apply, by when that ends; orders, by what they are and the wave they are for; and of each campaign no more is
 * forgiven than it counts, which an older program could come to.
 */
export const PERMITS = `
  create index campaign_targets_permitted on campaign_targets (campaign_id, wave, not_before_ms) where is_apply_permitted;
  drop index campaign_targets_ordered;
  create index campaign_targets_ordered on campaign_targets (campaign_id, wave)
    where waiting_order ->> 'kind' in ('begin', 'apply');
  create index campaign_targets_restrained on campaign_targets (campaign_id)
    where waiting_order ->> 'kind' in ('cancel', 'hold');

  create function pg_temp.capped(forgiven jsonb, counts jsonb) returns jsonb language plpgsql as $$ begin return (
    select coalesce(jsonb_object_agg(key, case jsonb_typeof(value)
      when 'object' then pg_temp.capped(value, coalesce(counts -> key, '{}'))
      else to_jsonb(greatest(0, least((value #>> '{}')::bigint, coalesce((counts ->> key)::bigint, 0)))) end), '{}')
    from jsonb_each(forgiven)); end
  $$;
  create function pg_temp.added(a jsonb, b jsonb) returns jsonb language plpgsql as $$ begin return (
    select coalesce(jsonb_object_agg(key, case jsonb_typeof(coalesce(a -> key, b -> key))
      when 'object' then pg_temp.added(coalesce(a -> key, '{}'), coalesce(b -> key, '{}'))
      else to_jsonb(coalesce((a ->> key)::bigint, 0) + coalesce((b ->> key)::bigint, 0)) end), '{}')
    from (select jsonb_object_keys(a) as key union select jsonb_object_keys(b)) keys); end
  $$;
  create aggregate pg_temp.sum_of(jsonb) (sfunc = pg_temp.added, stype = jsonb, initcond = '{}');
  update campaigns c set value = c.value || jsonb_build_object(
    'forgiven', pg_temp.capped(c.value -> 'forgiven', healed.counts), 'waves', healed.waves)
  from (
    select id, pg_temp.sum_of(wave -> 'counts') as counts,
      jsonb_agg(wave || jsonb_build_object('forgiven', pg_temp.capped(wave -> 'forgiven', wave -> 'counts')) order by place) as waves
    from campaigns, jsonb_array_elements(value -> 'waves') with ordinality as each(wave, place)
    group by id) healed
  where healed.id = c.id and c.value ? 'forgiven';
`;
