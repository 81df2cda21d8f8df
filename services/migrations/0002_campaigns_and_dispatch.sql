-- Campaigns, call lists and dispatch.
--
-- Who holds what
--   campaigns            what people see and edit. Changed seldom.
--   campaign_pacing      one narrow row a campaign: its state (a copy), token bucket, turn. Its lock is THE lock of a campaign: claiming takes
--                        it with SKIP LOCKED; start, pause, cancel, completion, edit and delete wait for it.
--   call_tasks           the queue: one narrow row a contact. Contact data lies beside it in call_task_contacts.
--   live_calls           one row for each claimed or dialing call: the lease, and by its unique key (company_id, phone_number) the lock on the
--                        person. Concurrency is counted from these rows, so there is no counter that could leak.
--   call_attempts        one row an attempt, never reused: the history, and what makes FinishTask answer the same twice.
--
-- Order of locks, everywhere: upload lock (advisory) → campaign_pacing → campaigns → live_calls → call_tasks. No path goes back up.
--
-- Windows are computed here and only here, in SQL, with PostgreSQL's AT TIME ZONE (Debian's server reads the system's tz database). The alternative —
-- the service computes opening times and stores them — needs a refresh before each lapses, for each zone of each contact, against concurrent edits and with a
-- second clock. Inside the claim's own transaction there is nothing to refresh, and the database's clock alone decides.
--
-- Time is dispatch_now(): the server's clock, or a moment pinned for a test with `set dialplane.now = '2026-03-29T00:59:59Z'`.

create function dispatch_now() returns timestamptz
language sql volatile as $$
    select coalesce(nullif(current_setting('dialplane.now', true), '')::timestamptz, clock_timestamp())
$$;

-- ---------------------------------------------------------------------------------------------------------------------- tables

create table campaigns (
    id uuid primary key,
    company_id uuid not null,
    skillbase_id uuid not null,
    name text not null,
    description text,
    status text not null default 'draft' check (status in ('draft', 'running', 'paused', 'completed', 'cancelled')),
    start_time timestamptz,
    end_time timestamptz,
    daily_start_time time not null,
    daily_end_time time not null,
    timezone text not null,
    days_of_week smallint[] not null check (cardinality(days_of_week) between 1 and 7 and 1 <= all (days_of_week) and 7 >= all (days_of_week)),
    max_concurrent_calls integer not null check (max_concurrent_calls between 1 and 10000),
    calls_per_minute integer not null check (calls_per_minute between 1 and 60000),
    max_retries integer not null check (max_retries between 0 and 10),
    retry_delay_minutes integer not null check (retry_delay_minutes between 1 and 1440),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    started_at timestamptz,
    completed_at timestamptz,
    constraint campaigns_end_after_start check (end_time > start_time),
    constraint campaigns_company_fkey foreign key (company_id) references companies (id) on delete cascade,
    constraint campaigns_skillbase_fkey foreign key (skillbase_id, company_id) references skillbases (id, company_id) on delete cascade
);
create index campaigns_newest on campaigns (created_at desc, id desc);
create index campaigns_of_company on campaigns (company_id, created_at desc, id desc);
create index campaigns_of_skillbase on campaigns (skillbase_id, created_at desc, id desc);

-- minute: calls handed out per second of the last 61, slot = second modulo 61; with the bucket it keeps any 60 seconds within calls_per_minute.
-- idle_until: there is nothing to hand out before this moment (window closed, bucket empty, nothing ready; the last is trusted for a second only,
-- because a retry does not take this lock). Upload, start and edit set it back.
create table campaign_pacing (
    campaign_id uuid primary key references campaigns (id) on delete cascade,
    company_id uuid not null,
    status text not null default 'draft',
    tokens double precision,
    refilled_at timestamptz not null,
    minute integer[] not null default array_fill(0, array[61]),
    minute_second bigint not null default 0,
    served_at timestamptz not null default '-infinity',
    idle_until timestamptz not null default '-infinity'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
create index campaign_pacing_at_work on campaign_pacing (company_id) where status in ('running', 'paused');

-- state pending and retry come in two kinds: `ready` may be handed out now; else ready_at says when, and waiting_for why. Promotion from the one to the other
-- keeps the ready index free of rows that cannot be taken, so a claim costs the same however many wait.
create table call_tasks (
    id uuid primary key,
    campaign_id uuid not null references campaigns (id) on delete cascade,
    company_id uuid not null,
    phone_number text not null,
    state text not null default 'pending' check (state in ('pending', 'in_progress', 'retry', 'completed', 'failed', 'cancelled', 'suppressed', 'unknown')),
    ready boolean not null default true,
    waiting boolean not null default false, -- neither ready nor taken nor ended
    priority smallint not null default 0,
    attempt_count smallint not null default 0,
    carrier_errors smallint not null default 0,
    fence bigint not null default 0,
    ready_at timestamptz not null,
    call_id uuid,
    timezone text,
    waiting_for text,
    outcome text,
    last_attempt_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (campaign_id, phone_number)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index call_tasks_in_order on call_tasks (campaign_id, priority desc, id);
create index call_tasks_ready on call_tasks (campaign_id, priority desc, id) where ready;
create index call_tasks_waiting on call_tasks (campaign_id, ready_at) where waiting;

create table call_task_contacts (
    task_id uuid primary key references call_tasks (id) on delete cascade,
    company_id uuid not null,
    contact_name text,
    contact_data jsonb not null
);

-- ended_how: finished (by FinishTask), expired (claimed, never dialed: the attempt is refunded), cancelled (with its campaign, before dialing), unknown (the agent
-- was lost while dialing). result_*: what FinishTask answered, to answer it again. outcome and error_message as the agent sent them.
create table call_attempts (
    call_id uuid primary key,
    task_id uuid not null references call_tasks (id) on delete cascade,
    campaign_id uuid not null,
    company_id uuid not null,
    number integer not null,
    fence bigint not null,
    worker_id text not null,
    claimed_at timestamptz not null,
    dialed_at timestamptz,
    ended_at timestamptz,
    ended_how text check (ended_how in ('finished', 'expired', 'cancelled', 'unknown')),
    disposition text,
    outcome text,
    error_message text,
    fault text,
    result_state text,
    result_ready_at timestamptz
) with (fillfactor = 80);
create index call_attempts_of_task on call_attempts (task_id, fence);

create table live_calls (
    call_id uuid primary key,
    task_id uuid not null unique references call_tasks (id) on delete cascade,
    campaign_id uuid not null,
    company_id uuid not null,
    phone_number text not null,
    worker_id text not null,
    fence bigint not null,
    lease_until timestamptz not null,
    dialed_at timestamptz, -- null: claimed; else dialing
    constraint live_callee unique (company_id, phone_number)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
create index live_calls_of_campaign on live_calls (campaign_id);

create table call_list_uploads (
    id uuid primary key,
    campaign_id uuid not null references campaigns (id) on delete cascade,
    company_id uuid not null,
    file_name text,
    total bigint not null,
    created bigint not null,
    duplicates bigint not null,
    error_count bigint not null,
    created_at timestamptz not null
);
create index call_list_uploads_of_campaign on call_list_uploads (campaign_id, created_at desc, id desc);

-- What follows from a disposition. next: the task's state. For retry: without own_limit it uses up the contact's attempts and waits the campaign's delay; with one
-- it has a budget of its own and waits delay × 2^n, at most delay_most. default_outcome: when the agent gave none. fault: whose.
create table disposition_rules (
    disposition text primary key,
    next text not null check (next in ('completed', 'failed', 'suppressed', 'retry')),
    own_limit integer,
    delay interval,
    delay_most interval,
    default_outcome text not null,
    fault text
);
insert into disposition_rules values
    ('answered', 'completed', null, null, null, 'success', null),
    ('no_answer', 'retry', null, null, null, 'no_answer', 'callee'),
    ('busy', 'retry', null, null, null, 'busy', 'callee'),
    ('voicemail', 'retry', null, null, null, 'voicemail', 'callee'),
    ('declined', 'failed', null, null, null, 'fail', 'callee'),
    ('invalid_number', 'failed', null, null, null, 'fail', 'callee'),
    ('opt_out', 'suppressed', null, null, null, 'fail', 'callee'),
    ('carrier_error', 'retry', 5, '1 minute', '15 minutes', 'fail', 'carrier');

-- ---------------------------------------------------------------------------------------------------------------------- counters
-- Every statement that writes tasks appends its differences, one row for each state, in its own transaction: no row is fought over, and nobody can forget it.
-- The service folds them into campaign_counts each second. A reader adds both in one snapshot, so the figures are exact at every moment, and
-- GET reads a handful of rows whatever the size of the campaign. (Counting the tasks themselves takes 100 ms a million; one counter row a
-- state would serialise every claim and finish of a campaign on it until its commit.)

create table campaign_counts (
    campaign_id uuid not null,
    state text not null,
    tasks bigint not null,
    primary key (campaign_id, state)
) with (fillfactor = 70);
create table campaign_count_changes (
    id bigint generated always as identity primary key,
    campaign_id uuid not null,
    state text not null,
    change bigint not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index campaign_count_changes_of_campaign on campaign_count_changes (campaign_id);

create function count_new_tasks() returns trigger
language plpgsql as $$
begin
    insert into campaign_count_changes (campaign_id, state, change)
        select campaign_id, state, count(*) from new_rows group by campaign_id, state;
    return null;
end $$;
create trigger call_tasks_inserted after insert on call_tasks
    referencing new table as new_rows for each statement execute function count_new_tasks();

create function count_changed_tasks() returns trigger
language plpgsql as $$
begin
    insert into campaign_count_changes (campaign_id, state, change)
        select campaign_id, state, sum(change)
        from (select campaign_id, state, -1 as change from old_rows union all select campaign_id, state, 1 from new_rows) rows
        group by campaign_id, state having sum(change) <> 0;
    return null;
end $$;
create trigger call_tasks_updated after update on call_tasks
    referencing old table as old_rows new table as new_rows for each statement execute function count_changed_tasks();

-- Tasks go only with their campaign: so do its counts.
create function forget_counts() returns trigger
language plpgsql as $$
begin
    delete from campaign_counts where campaign_id = old.id;
    delete from campaign_count_changes where campaign_id = old.id;
    return null;
end $$;
create trigger campaigns_deleted after delete on campaigns for each row execute function forget_counts();

-- Folds at most `most` changes; how many it did. One at a time (the lock), else two could deadlock on the same counts.
create function fold_counts(most integer) returns integer
language plpgsql as $$
declare
    folded integer;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('dialplane.fold_counts', 0)) then
        return 0;
    end if;
    with taken as (
        delete from campaign_count_changes where id in (select id from campaign_count_changes order by id limit most)
        returning campaign_id, state, change
    ), summed as (
        select campaign_id, state, sum(change)::bigint as change, count(*) as changes from taken group by campaign_id, state
    ), counted as (
        insert into campaign_counts (campaign_id, state, tasks)
            select campaign_id, state, change from summed where exists (select from campaigns c where c.id = campaign_id)
        on conflict (campaign_id, state) do update set tasks = campaign_counts.tasks + excluded.tasks
    )
    select coalesce(sum(changes), 0) into folded from summed;
    return folded;
end $$;

-- pending: waiting for a call, first or repeated. failed: ended without success, which includes people who do not want to be called and calls whose
-- end is unknown; cancelled tasks are only in the total.
create function campaign_counters(campaign uuid, out total bigint, out completed bigint, out failed bigint, out pending bigint, out in_progress bigint)
language sql stable as $$
    select coalesce(sum(n), 0)::bigint,
           coalesce(sum(n) filter (where state = 'completed'), 0)::bigint,
           coalesce(sum(n) filter (where state in ('failed', 'suppressed', 'unknown')), 0)::bigint,
           coalesce(sum(n) filter (where state in ('pending', 'retry')), 0)::bigint,
           coalesce(sum(n) filter (where state = 'in_progress'), 0)::bigint
    from (select state, tasks as n from campaign_counts where campaign_id = campaign
          union all
          select state, change from campaign_count_changes where campaign_id = campaign) counts
$$;

-- What a Campaign message is made of, in the order in which services/campaign/handlers/campaign_rows.c reads it.
create view campaign_details as
    select c.id, c.company_id, c.skillbase_id, c.name, c.description, c.status, c.start_time, c.end_time,
           to_char(c.daily_start_time, 'HH24:MI') as daily_start_time, to_char(c.daily_end_time, 'HH24:MI') as daily_end_time,
           c.timezone, array_to_string(c.days_of_week, ',') as days_of_week,
           c.max_concurrent_calls, c.calls_per_minute, c.max_retries, c.retry_delay_minutes,
           n.total, n.completed, n.failed, n.pending, n.in_progress,
           c.created_at, c.updated_at, c.started_at, c.completed_at
    from campaigns c cross join lateral campaign_counters(c.id) n;

-- What a CallTask message is made of, likewise.
create view call_task_details as
    select t.id, t.campaign_id, t.phone_number, d.contact_name, d.contact_data, t.state, t.attempt_count,
           coalesce(a.dialed_at, t.last_attempt_at) as last_attempt_at,
           case when t.waiting or t.ready and t.state = 'retry' then t.ready_at end as next_attempt_at,
           t.call_id, t.outcome, a.error_message, t.priority, t.timezone, t.created_at, t.updated_at
    from call_tasks t
        join call_task_contacts d on d.task_id = t.id
        left join call_attempts a on a.call_id = t.call_id;

-- ---------------------------------------------------------------------------------------------------------------------- windows

-- Whether wall clocks in `zone` stand inside the window: half-open; across midnight it belongs to the day on which it opened; equal ends are the whole day.
create function window_is_open(at timestamptz, zone text, days smallint[], opens time, closes time) returns boolean
language sql stable as $$
    select case
               when opens = closes then extract(isodow from wall)::smallint = any (days)
               when opens < closes then wall::time >= opens and wall::time < closes and extract(isodow from wall)::smallint = any (days)
               else wall::time >= opens and extract(isodow from wall)::smallint = any (days)
                    or wall::time < closes and extract(isodow from wall - interval '1 day')::smallint = any (days)
           end
    from (select at at time zone zone as wall) w
$$;

-- The first moment at which clocks in `zone` show `wall`, or, where it is skipped in spring, the moment of the change.
create function wall_moment(wall timestamp, zone text) returns timestamptz
language plpgsql stable as $$
declare
    found timestamptz := wall at time zone zone;
    step interval;
    before_s integer := 3 * 3600; -- so many seconds before `found`, clocks still show less than `wall` …
    after_s integer := 0;         -- … and so many before it they no longer do
    middle_s integer;
begin
    -- Shown twice in autumn: PostgreSQL may take the second.
    foreach step in array array['2 hours', '1 hour', '30 minutes']::interval[] loop
        if (found - step) at time zone zone = wall then
            return found - step;
        end if;
    end loop;
    if found at time zone zone = wall then
        return found;
    end if;
    while before_s - after_s > 1 loop
        middle_s := (before_s + after_s) / 2;
        if (found - make_interval(secs => middle_s)) at time zone zone >= wall then
            after_s := middle_s;
        else
            before_s := middle_s;
        end if;
    end loop;
    return found - make_interval(secs => after_s);
end $$;

-- The first moment from `at` on at which the window is open in `zone`; null when there is none within two weeks.
create function window_opens(at timestamptz, zone text, days smallint[], opens time, closes time) returns timestamptz
language plpgsql stable as $$
declare
    today date;
    found timestamptz;
begin
    if window_is_open(at, zone, days, opens, closes) then
        return at;
    end if;
    today := (at at time zone zone)::date;
    for i in 0 .. 14 loop
        if extract(isodow from today + i)::smallint = any (days) then
            found := wall_moment((today + i) + case when opens = closes then time '00:00' else opens end, zone);
            -- A window that lies wholly inside the hour skipped in spring does not open that day.
            if found > at and window_is_open(found, zone, days, opens, closes) then
                return found;
            end if;
        end if;
    end loop;
    return null;
end $$;

-- The first moment from `at` on at which campaign c may call a contact who lives in contact_zone (null: the campaign's): inside start_time and end_time and the
-- window in both zones. `at` itself: now. Null: never, as far as can be seen.
create function next_call_time(at timestamptz, c campaigns, contact_zone text) returns timestamptz
language plpgsql stable as $$
declare
    t timestamptz := greatest(at, c.start_time);
    here timestamptz;
    there timestamptz;
begin
    for i in 1 .. 40 loop
        here := window_opens(t, c.timezone, c.days_of_week, c.daily_start_time, c.daily_end_time);
        if here is null or here >= c.end_time then
            return null;
        end if;
        if contact_zone is null or contact_zone = c.timezone then
            return here;
        end if;
        there := window_opens(here, contact_zone, c.days_of_week, c.daily_start_time, c.daily_end_time);
        if there is null or there = here then
            return there;
        end if;
        t := there;
    end loop;
    return null;
end $$;

create function is_time_zone(zone text) returns boolean
language plpgsql stable as $$
begin
    perform now() at time zone zone;
    return true;
exception when invalid_parameter_value then
    return false;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- states

-- Whether a call may still come of any task: then the campaign is not finished. Counts at most `most`.
create function count_open_tasks(campaign uuid, most integer) returns integer
language sql stable as $$
    select ((select count(*) from (select from call_tasks where campaign_id = campaign and ready limit most) a)
            + (select count(*) from (select from call_tasks where campaign_id = campaign and waiting limit most) b)
            + (select count(*) from (select from live_calls where campaign_id = campaign limit most) c))::integer
$$;

-- Makes the campaign completed when nothing is open. The caller holds the pacing row, so it happens once. An unknown task does not keep it open:
-- nothing more will be called by itself; should it be settled later to `retry`, the campaign can be started again.
create function complete_if_done(campaign uuid) returns boolean
language plpgsql as $$
declare
    at timestamptz := dispatch_now();
begin
    if count_open_tasks(campaign, 1) > 0 then
        return false;
    end if;
    update campaigns set status = 'completed', completed_at = at, updated_at = greatest(at, updated_at + interval '1 microsecond')
    where id = campaign and status in ('running', 'paused');
    if not found then
        return false;
    end if;
    update campaign_pacing set status = 'completed' where campaign_id = campaign;
    return true;
end $$;

-- Cancels what is open and not on the phone: waiting tasks, and claimed ones whose agent has not yet asked to dial.
create function cancel_open_tasks(campaign uuid, at timestamptz) returns void
language plpgsql as $$
begin
    with claimed as materialized (
        select call_id from live_calls where campaign_id = campaign and dialed_at is null order by call_id for update
    ), gone as (
        delete from live_calls l using claimed where l.call_id = claimed.call_id returning l.call_id, l.task_id
    ), noted as (
        update call_attempts a set ended_at = at, ended_how = 'cancelled' from gone where a.call_id = gone.call_id
    )
    update call_tasks t set state = 'cancelled', attempt_count = attempt_count - 1, updated_at = at
    from gone where t.id = gone.task_id;
    update call_tasks set state = 'cancelled', ready = false, waiting = false, waiting_for = null, updated_at = at
    where campaign_id = campaign and (ready or waiting);
end $$;

-- start, pause, cancel. allowed: the states from which the move may be made (the table is services/campaign/domain/moves.c). verdict: ok, not_found,
-- etag_mismatch, wrong_state, no_tasks; status: where the campaign stands.
create function move_campaign(campaign uuid, company uuid, allowed text[], target text, if_match_us bigint,
                              out verdict text, out status text)
language plpgsql as $$
declare
    at timestamptz;
    c campaigns;
begin
    perform from campaign_pacing p where p.campaign_id = campaign and p.company_id = coalesce(company, p.company_id) for update;
    if found then
        select * into c from campaigns k where k.id = campaign;
    end if;
    if c.id is null then
        verdict := 'not_found';
        return;
    end if;
    status := c.status;
    if (extract(epoch from c.updated_at) * 1000000)::bigint <> if_match_us then
        verdict := 'etag_mismatch';
        return;
    end if;
    if not c.status = any (allowed) then
        verdict := 'wrong_state';
        return;
    end if;
    if target = 'running' and count_open_tasks(campaign, 1) = 0 then
        verdict := 'no_tasks';
        return;
    end if;
    at := dispatch_now();
    -- Waits for every BeginDial that has the campaign FOR SHARE: when this has committed, none of them is still to come.
    update campaigns k set status = target, updated_at = greatest(at, k.updated_at + interval '1 microsecond'),
        started_at = case when target = 'running' then coalesce(k.started_at, at) else k.started_at end,
        completed_at = case when target = 'running' then null else k.completed_at end
    where k.id = campaign;
    update campaign_pacing p set status = target, idle_until = '-infinity' where p.campaign_id = campaign;
    if target = 'cancelled' then
        perform cancel_open_tasks(campaign, at);
    end if;
    status := target;
    verdict := 'ok';
end $$;

-- verdict: ok, not_found, etag_mismatch.
create function delete_campaign(campaign uuid, company uuid, if_match_us bigint, out verdict text)
language plpgsql as $$
declare
    c campaigns;
begin
    perform pg_advisory_xact_lock(hashtextextended(campaign::text, 1)); -- lets an upload's last step pass
    perform from campaign_pacing p where p.campaign_id = campaign for update;
    select * into c from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id) for update;
    if c.id is null then
        verdict := 'not_found';
    elsif (extract(epoch from c.updated_at) * 1000000)::bigint <> if_match_us then
        verdict := 'etag_mismatch';
    else
        delete from campaigns k where k.id = campaign;
        verdict := 'ok';
    end if;
end $$;

-- The last step of an upload: the rows of the temporary table call_list_rows become tasks. Uploads into one campaign take turns here: two that share
-- numbers in another order would deadlock. verdict: ok, not_found, ended, or bad_zone with the name in `detail`.
create function finish_upload(campaign uuid, company uuid, upload uuid, file text, rows_total bigint, rows_wrong bigint,
                              out verdict text, out created bigint, out duplicates bigint, out detail text)
language plpgsql as $$
declare
    at timestamptz;
    c campaigns;
    staged bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended(campaign::text, 1));
    select * into c from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    if c.id is null then
        verdict := 'not_found';
        return;
    end if;
    select z.timezone into detail from (select distinct r.timezone from call_list_rows r where r.timezone is not null) z
    where not is_time_zone(z.timezone) limit 1;
    if detail is not null then
        verdict := 'bad_zone';
        return;
    end if;
    at := dispatch_now();
    select count(*) into staged from call_list_rows;
    insert into call_tasks (id, campaign_id, company_id, phone_number, priority, timezone, ready_at, created_at, updated_at)
        select r.id, c.id, c.company_id, r.phone_number, r.priority, r.timezone, at, at, at from call_list_rows r
    on conflict (campaign_id, phone_number) do nothing;
    get diagnostics created = row_count;
    duplicates := staged - created;
    insert into call_task_contacts (task_id, company_id, contact_name, contact_data)
        select r.id, c.company_id, r.contact_name, r.contact_data from call_list_rows r join call_tasks t on t.id = r.id;
    insert into call_list_uploads (id, campaign_id, company_id, file_name, total, created, duplicates, error_count, created_at)
        values (upload, c.id, c.company_id, file, rows_total, finish_upload.created, finish_upload.duplicates, rows_wrong, at);
    update campaign_pacing p set idle_until = '-infinity' where p.campaign_id = campaign;
    -- Under the pacing row's lock now: a cancel came either before this, and is seen here, or comes after the commit and sees the new tasks.
    select * into c from campaigns k where k.id = campaign;
    verdict := case when c.id is null then 'not_found' when c.status = 'cancelled' then 'ended' else 'ok' end;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- dispatch

-- How many calls the campaign's pace allows now, with the bucket refilled and the minute moved on in `p` (the caller writes it back). Two limits: the bucket (5
-- seconds' worth, at least 5 calls) smooths, and the sum over the last 61 one-second slots keeps ANY 60 seconds within calls_per_minute — a bucket alone
-- would let its whole depth through on top of the minute's refill. wait: until the bucket holds a call again.
create function pace_campaign(inout p campaign_pacing, per_minute integer, at timestamptz, out allowed integer, out wait interval)
language plpgsql as $$
declare
    depth double precision := least(per_minute, greatest(5, ceil(per_minute / 12.0)));
    per_second double precision := per_minute / 60.0;
    this_second bigint := floor(extract(epoch from at));
    used bigint;
begin
    p.tokens := least(depth, coalesce(p.tokens + greatest(0, extract(epoch from at - p.refilled_at)) * per_second, depth));
    p.refilled_at := greatest(at, p.refilled_at);
    if this_second > p.minute_second then
        if this_second - p.minute_second >= 61 then
            p.minute := array_fill(0, array[61]);
        else
            for s in p.minute_second + 1 .. this_second loop
                p.minute[s % 61 + 1] := 0;
            end loop;
        end if;
        p.minute_second := this_second;
    end if;
    select sum(n) into used from unnest(p.minute) n;
    allowed := greatest(0, least(floor(p.tokens + 1e-9), per_minute - used));
    wait := case when p.tokens < 1 then make_interval(secs => (1 - p.tokens) / per_second) else interval '500 milliseconds' end;
end $$;

-- Takes up to `wanted` tasks of a campaign whose pacing row the caller has locked: live call, attempt and task are written together. Who cannot be called now is
-- put aside until the next moment at which he could be, with the reason. How many it took.
create function take_tasks(c campaigns, worker text, wanted integer, call_ids uuid[], lease interval, at timestamptz) returns integer
language plpgsql as $$
declare
    taken integer := 0;
    batch uuid[];
    inserted integer;
begin
    -- Whoever's time has come is ready again.
    update call_tasks t set ready = true, waiting = false, waiting_for = null
    from (select id from call_tasks where campaign_id = c.id and waiting and ready_at <= at order by ready_at limit 500 for update skip locked) due
    where t.id = due.id;
    for round in 1 .. 10 loop
        select array_agg(b.id) into batch from (
            select id from call_tasks where campaign_id = c.id and ready
            order by priority desc, id limit wanted - taken for update skip locked) b;
        exit when batch is null;
        -- Outside the window where the contact lives; a zone without any opening in sight is looked at again in a day.
        update call_tasks t set ready = false, waiting = true, waiting_for = 'window', ready_at = coalesce(z.opens, at + interval '1 day')
        from (select d.timezone, next_call_time(at, c, d.timezone) as opens
              from (select distinct timezone from call_tasks where id = any (batch) and timezone is not null) d) z
        where t.id = any (batch) and t.timezone = z.timezone and z.opens is distinct from at;
        -- The limit may have been lowered since.
        update call_tasks set state = 'failed', ready = false, updated_at = at
        where id = any (batch) and ready and attempt_count > c.max_retries;
        with chosen as (
            select t.id, t.phone_number, t.fence + 1 as fence,
                   call_ids[taken + row_number() over (order by t.priority desc, t.id)] as call_id
            from call_tasks t where t.id = any (batch) and t.ready
        ), live as ( -- sorted: two claims of one company must not wait for each other crosswise
            insert into live_calls (call_id, task_id, campaign_id, company_id, phone_number, worker_id, fence, lease_until)
                select call_id, id, c.id, c.company_id, phone_number, worker, fence, at + lease from chosen order by phone_number
            on conflict do nothing
            returning live_calls.call_id, live_calls.task_id
        ), claimed as (
            update call_tasks t set state = 'in_progress', ready = false, attempt_count = t.attempt_count + 1, fence = t.fence + 1,
                call_id = live.call_id, updated_at = at
            from live where t.id = live.task_id
            returning t.id, t.call_id, t.fence, t.attempt_count + t.carrier_errors as number
        )
        insert into call_attempts (call_id, task_id, campaign_id, company_id, number, fence, worker_id, claimed_at)
            select call_id, id, c.id, c.company_id, number, fence, worker, at from claimed;
        get diagnostics inserted = row_count;
        -- Somebody already on the phone for another campaign of the company.
        update call_tasks set ready = false, waiting = true, waiting_for = 'person_busy', ready_at = at + interval '10 seconds'
        where id = any (batch) and ready;
        taken := taken + inserted;
        exit when taken >= wanted;
    end loop;
    return taken;
end $$;

-- Hands out up to `wanted` tasks of ONE campaign: the one whose company, then which itself, was served longest ago. (One, so that the persons are
-- locked in one sorted run.) call_ids: at least `wanted` fresh ones. When there is nothing, one row without call_id: try_again_ms says when there may be.
create function claim_tasks(worker text, wanted integer, company uuid, campaign uuid, call_ids uuid[], lease interval)
returns table (call_id uuid, fence bigint, task_id uuid, campaign_id uuid, company_id uuid, skillbase_id uuid, skillbase_version integer,
               phone_number text, contact_name text, contact_data jsonb, attempt_number integer, lease_until timestamptz, try_again_ms integer)
language plpgsql as $$
#variable_conflict use_column
declare
    at timestamptz;
    c campaigns;
    p campaign_pacing;
    pace record;
    opens timestamptz;
    live integer;
    n integer;
    taken integer;
begin
    for attempt in 1 .. 50 loop
        at := dispatch_now();
        select w.* into p
        from campaign_pacing w
            join companies o on o.id = w.company_id and o.is_active
            join (select company_id, max(served_at) as served_at from campaign_pacing where status = 'running' group by company_id) s
                on s.company_id = w.company_id
        where w.status = 'running' and w.idle_until <= at
            and (company is null or w.company_id = company) and (campaign is null or w.campaign_id = campaign)
        order by s.served_at, w.served_at limit 1
        for update of w skip locked;
        exit when not found;
        -- In statements of their own: their snapshots are younger than the lock.
        select * into c from campaigns k where k.id = p.campaign_id;
        at := dispatch_now();
        opens := next_call_time(at, c, null);
        if opens is distinct from at then
            update campaign_pacing w set idle_until = coalesce(opens, at + interval '1 day') where w.campaign_id = c.id;
            continue;
        end if;
        select * into pace from pace_campaign(p, c.calls_per_minute, at);
        p := pace.p;
        select count(*) into live from live_calls l where l.campaign_id = c.id;
        n := least(wanted, pace.allowed, c.max_concurrent_calls - live);
        taken := 0;
        if n > 0 then
            taken := take_tasks(c, worker, n, call_ids, lease, at);
            p.tokens := p.tokens - taken;
            p.minute[p.minute_second % 61 + 1] := p.minute[p.minute_second % 61 + 1] + taken;
        end if;
        -- Nothing: do not look here again at once. Full (live): a call's end cannot tell this row without waiting for it, so a short pause only.
        update campaign_pacing w set tokens = p.tokens, refilled_at = p.refilled_at, minute = p.minute, minute_second = p.minute_second,
            served_at = case when taken > 0 then at else w.served_at end,
            idle_until = case when taken > 0 then '-infinity'
                              when pace.allowed < 1 then at + pace.wait
                              when n < 1 then at + interval '20 milliseconds'
                              else least(at + interval '1 second',
                                         coalesce((select min(t.ready_at) from call_tasks t where t.campaign_id = c.id and t.waiting), 'infinity'))
                         end
        where w.campaign_id = c.id;
        if taken > 0 then
            return query
                select l.call_id, l.fence, t.id, c.id, c.company_id, c.skillbase_id, b.version, t.phone_number, d.contact_name,
                       d.contact_data, (t.attempt_count + t.carrier_errors)::integer, l.lease_until, 0
                from call_tasks t
                    join live_calls l on l.task_id = t.id and l.call_id = t.call_id
                    join call_task_contacts d on d.task_id = t.id
                    join skillbases b on b.id = c.skillbase_id
                where l.call_id = any (call_ids)
                order by t.priority desc, t.id;
            return;
        end if;
        perform complete_if_done(c.id);
    end loop;
    -- Nothing. A row that another claim holds right now is past its idle_until and counts as soon.
    at := dispatch_now();
    try_again_ms := (select least(1000, greatest(20, extract(epoch from greatest(min(w.idle_until), at) - at) * 1000))
                     from campaign_pacing w join companies o on o.id = w.company_id and o.is_active
                     where w.status = 'running' and w.idle_until < 'infinity'
                         and (company is null or w.company_id = company) and (campaign is null or w.campaign_id = campaign));
    try_again_ms := coalesce(try_again_ms, 1000);
    return next;
end $$;

-- Leave to dial. verdict: ok, not_found, stale, finished, not_running (status: where the campaign stands), window_closed.
create function begin_dial(call uuid, with_fence bigint, company uuid, lease interval, out verdict text, out lease_until timestamptz, out status text)
language plpgsql as $$
declare
    at timestamptz;
    l live_calls;
    a call_attempts;
    c campaigns;
begin
    select * into l from live_calls v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    if l.call_id is null then
        select * into a from call_attempts v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
        verdict := case when a.call_id is null then 'not_found'
                        when a.fence <> with_fence then 'stale'
                        when a.ended_how = 'finished' then 'finished'
                        when a.ended_how = 'cancelled' then 'not_running'
                        else 'stale' end;
        status := 'cancelled';
        return;
    end if;
    if l.fence <> with_fence then
        verdict := 'stale';
        return;
    end if;
    -- Held until commit: a pause that answers later waits for this, one that answered sooner is seen.
    select * into c from campaigns k where k.id = l.campaign_id for share;
    at := dispatch_now();
    if l.dialed_at is null then
        status := c.status;
        if c.status <> 'running' or not exists (select from companies o where o.id = c.company_id and o.is_active) then
            verdict := 'not_running';
            return;
        end if;
        if next_call_time(at, c, (select t.timezone from call_tasks t where t.id = l.task_id)) is distinct from at then
            verdict := 'window_closed';
            return;
        end if;
        update live_calls v set dialed_at = at, lease_until = at + lease
        where v.call_id = call and v.fence = with_fence and v.dialed_at is null and v.lease_until > at
        returning v.lease_until into lease_until;
        if found then
            update call_attempts v set dialed_at = at where v.call_id = call;
            verdict := 'ok';
            return;
        end if;
    end if;
    -- Begun already (asked again), or taken away meanwhile.
    select v.lease_until into lease_until from live_calls v where v.call_id = call and v.fence = with_fence and v.dialed_at is not null;
    verdict := case when found then 'ok' else 'stale' end;
end $$;

-- Extends the leases of calls, in one statement. A claimed one whose lease has passed is lost; a dialing one goes on as long as nobody has settled it.
create function keep_leases(worker text, company uuid, call_ids uuid[], fences bigint[], lease interval)
returns table (call_id uuid, state text, lease_until timestamptz)
language sql as $$
    with asked as (
        select * from unnest(call_ids, fences) with ordinality as q (call_id, fence, position)
    ), locked as materialized ( -- in one order for all: heartbeats do not wait for each other crosswise
        select l.call_id, l.campaign_id from live_calls l
        where l.call_id = any (call_ids) and l.worker_id = worker and l.company_id = coalesce(company, l.company_id)
            and exists (select from asked q where q.call_id = l.call_id and q.fence = l.fence)
        order by l.call_id for update
    ), kept as (
        update live_calls l set lease_until = dispatch_now() + lease from locked k
        where l.call_id = k.call_id and (l.dialed_at is not null or l.lease_until > dispatch_now())
        returning l.call_id, l.fence, l.lease_until, l.campaign_id
    )
    select q.call_id, case when k.call_id is null then 'lost' when c.status = 'cancelled' then 'end' else 'held' end, k.lease_until
    from asked q left join kept k on k.call_id = q.call_id and k.fence = q.fence left join campaigns c on c.id = k.campaign_id
    order by q.position
$$;

-- What a disposition makes of task t: its new row. Pure: the rules of the table and of dispatch.md.
create function settle_task(t call_tasks, c campaigns, r disposition_rules, said_outcome text, dialed_at timestamptz, at timestamptz) returns call_tasks
language plpgsql as $$
declare
    retry_at timestamptz;
begin
    t.state := r.next;
    if r.next = 'retry' and r.own_limit is null then
        retry_at := at + make_interval(mins => c.retry_delay_minutes);
        if t.attempt_count > c.max_retries then
            t.state := 'failed';
        end if;
    elsif r.next = 'retry' then
        retry_at := at + least(r.delay_most, r.delay * (2 ^ t.carrier_errors));
        t.attempt_count := t.attempt_count - 1;
        t.carrier_errors := t.carrier_errors + 1;
        if t.carrier_errors > r.own_limit then
            t.state := 'failed';
        end if;
    end if;
    if t.state = 'retry' and c.status = 'cancelled' then
        t.state := 'cancelled';
    end if;
    t.ready := false;
    t.waiting := t.state = 'retry';
    t.waiting_for := case when t.waiting then 'retry' end;
    if t.waiting then
        t.ready_at := coalesce(next_call_time(retry_at, c, t.timezone), retry_at);
    end if;
    t.outcome := coalesce(said_outcome, r.default_outcome);
    t.last_attempt_at := dialed_at;
    t.updated_at := at;
    return t;
end $$;

-- The end of a call. verdict: ok, not_found, stale, not_dialing, different, bad_disposition; state and next_attempt_at: the task's. The same body is answered
-- the same for ever; a late one settles a call that had become unknown.
create function finish_task(call uuid, with_fence bigint, company uuid, said text, said_outcome text, said_error text,
                            out verdict text, out task uuid, out state text, out next_attempt_at timestamptz)
language plpgsql as $$
declare
    near_end constant integer := 32; -- more calls than can be finishing at once through one pool
    at timestamptz;
    a call_attempts;
    c campaigns;
    l live_calls;
    t call_tasks;
    r disposition_rules;
    may_be_last boolean;
begin
    select * into a from call_attempts v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    if a.call_id is null or a.fence <> with_fence then
        verdict := case when a.call_id is null then 'not_found' else 'stale' end;
        return;
    end if;
    select * into r from disposition_rules d where d.disposition = said;
    if r.disposition is null then
        verdict := 'bad_disposition';
        return;
    end if;
    -- Only near the campaign's end is its lock worth taking: the last one to finish must see that all others have. (complete_campaigns, run each
    -- second, would find a campaign that this misses.) Else share the campaign, so that a cancel comes wholly before or after.
    may_be_last := count_open_tasks(a.campaign_id, near_end) <= near_end;
    if may_be_last then
        perform from campaign_pacing p where p.campaign_id = a.campaign_id for update;
        select * into c from campaigns k where k.id = a.campaign_id;
    else
        select * into c from campaigns k where k.id = a.campaign_id for share;
    end if;
    at := dispatch_now();
    select * into l from live_calls v where v.call_id = call for update;
    select * into a from call_attempts v where v.call_id = call for update; -- again: it may have ended while we waited
    if a.call_id is null then
        verdict := 'not_found';
        return;
    end if;
    task := a.task_id;
    if l.call_id is not null and l.dialed_at is null then
        verdict := 'not_dialing';
        return;
    end if;
    select * into t from call_tasks v where v.id = a.task_id for update;
    if l.call_id is null and a.ended_how = 'finished' then
        verdict := case when (a.disposition, a.outcome, a.error_message) is not distinct from (said, said_outcome, said_error) then 'ok' else 'different' end;
        state := a.result_state;
        next_attempt_at := a.result_ready_at;
        return;
    end if;
    if l.call_id is null and (a.ended_how is distinct from 'unknown' or t.state <> 'unknown' or t.call_id <> call) then
        verdict := 'stale';
        return;
    end if;
    t := settle_task(t, c, r, said_outcome, a.dialed_at, at);
    state := t.state;
    next_attempt_at := case when t.waiting then t.ready_at end;
    update call_tasks v set state = t.state, ready = false, waiting = t.waiting, waiting_for = t.waiting_for, ready_at = t.ready_at,
        attempt_count = t.attempt_count, carrier_errors = t.carrier_errors, outcome = t.outcome, last_attempt_at = t.last_attempt_at, updated_at = at
    where v.id = t.id;
    delete from live_calls v where v.call_id = call;
    update call_attempts v set ended_at = at, ended_how = 'finished', disposition = said, outcome = said_outcome, error_message = said_error,
        fault = r.fault, result_state = t.state, result_ready_at = finish_task.next_attempt_at
    where v.call_id = call;
    if may_be_last then
        perform complete_if_done(a.campaign_id);
    end if;
    verdict := 'ok';
end $$;

-- Settles calls whose lease has passed, at most `most` of each campaign. Claimed: ready again, the attempt refunded (nothing was dialed: BeginDial would have been
-- refused). Dialing: unknown, for a person to look at; never redialed silently. A campaign whose row is locked has its turn next time.
create function sweep_leases(most integer, out refunded bigint, out unknown bigint)
language plpgsql as $$
declare
    at timestamptz := dispatch_now();
    campaign uuid;
    n integer;
begin
    refunded := 0;
    unknown := 0;
    for campaign in select l.campaign_id from live_calls l where l.lease_until < at group by l.campaign_id order by l.campaign_id limit 100 loop
        perform from campaign_pacing p where p.campaign_id = campaign for update skip locked;
        continue when not found;
        with late as materialized (
            select l.call_id from live_calls l where l.campaign_id = campaign and l.lease_until < at order by l.call_id limit most for update skip locked
        ), gone as (
            delete from live_calls l using late where l.call_id = late.call_id returning l.call_id, l.task_id, l.dialed_at
        ), noted as (
            update call_attempts a set ended_at = at, ended_how = case when gone.dialed_at is null then 'expired' else 'unknown' end
            from gone where a.call_id = gone.call_id
        ), settled as (
            update call_tasks t set
                state = case when gone.dialed_at is not null then 'unknown' when c.status = 'cancelled' then 'cancelled'
                             when t.attempt_count + t.carrier_errors > 1 then 'retry' else 'pending' end,
                ready = gone.dialed_at is null and c.status <> 'cancelled',
                ready_at = at,
                attempt_count = t.attempt_count - case when gone.dialed_at is null then 1 else 0 end,
                outcome = case when gone.dialed_at is null then t.outcome else 'unknown' end,
                last_attempt_at = coalesce(gone.dialed_at, t.last_attempt_at),
                updated_at = at
            from gone, campaigns c where t.id = gone.task_id and c.id = campaign
            returning gone.dialed_at
        )
        select refunded + count(*) filter (where s.dialed_at is null), unknown + count(s.dialed_at), count(*) into refunded, unknown, n from settled s;
        if n > 0 then
            update campaign_pacing p set idle_until = '-infinity' where p.campaign_id = campaign;
            perform complete_if_done(campaign);
        end if;
    end loop;
end $$;

-- The net under automatic completion: campaigns at work in which nothing is open. How many it completed.
create function complete_campaigns() returns integer
language plpgsql as $$
declare
    campaign uuid;
    n integer := 0;
begin
    for campaign in select p.campaign_id from campaign_pacing p
                    where p.status in ('running', 'paused') and count_open_tasks(p.campaign_id, 1) = 0 order by 1 limit 100 loop
        perform from campaign_pacing p where p.campaign_id = campaign and p.status in ('running', 'paused') for update skip locked;
        if found and complete_if_done(campaign) then
            n := n + 1;
        end if;
    end loop;
    return n;
end $$;
