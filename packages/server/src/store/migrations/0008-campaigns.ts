/** Campaigns as one value each, their targets as rows, and what a device's updates came to. */
export const CAMPAIGNS = `
  create table campaigns (
    id text primary key,
    seq bigint generated always as identity unique,
    name text not null,
    state text not null,
    spec jsonb not null,
    policy jsonb not null,
    value jsonb not null,
    open_waves integer[] not null default '{}',
    priority integer not null default 0,
    wake_at_ms bigint,
    taken_until timestamptz(3),
    rollback_of text unique references campaigns,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  ) with (fillfactor = 50);
  create index campaigns_of_state on campaigns (state, seq desc);
  create index campaigns_due on campaigns (wake_at_ms) where wake_at_ms is not null;

  create table campaign_targets (
    campaign_id text not null,
    endpoint text collate "C" not null,
    wave integer not null,
    order_key bigint not null,
    phase text not null default 'pending',
    state text not null default 'queued',
    failure text,
    attempt integer not null default 0,
    is_under_way boolean not null default false,
    is_apply_permitted boolean not null default false,
    waiting_order jsonb,
    order_until timestamptz(3),
    image_id text,
    cell text,
    failures jsonb not null default '{}',
    not_before_ms bigint,
    sentence text not null default 'queued',
    primary key (campaign_id, endpoint)
  ) with (fillfactor = 80);
  create index campaign_targets_by_turn on campaign_targets (campaign_id, wave, order_key) where phase = 'pending';
  create index campaign_targets_held on campaign_targets (campaign_id, wave, order_key) where phase = 'held';
  create index campaign_targets_active on campaign_targets (campaign_id, endpoint) where phase = 'active';
  create index campaign_targets_by_time on campaign_targets (campaign_id, phase, wave, not_before_ms)
    where phase <> 'ended' and not_before_ms is not null;
  create index campaign_targets_of_device on campaign_targets (endpoint) where phase <> 'ended';
  create index campaign_targets_ordered on campaign_targets (campaign_id, endpoint) where waiting_order is not null;

  create unique index updates_of_attempt on updates (campaign_id, endpoint, attempt) where campaign_id is not null;
  alter table devices add column last_failure_at timestamptz(3), add column left_versions text[] not null default '{}';
`;
