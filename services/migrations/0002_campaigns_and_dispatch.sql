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
-- (plpgsql, as everything on the way of a claim: its plans are kept, those of an SQL function that cannot be inlined are made at every call.)
create function window_is_open(at timestamptz, zone text, days smallint[], opens time, closes time) returns boolean
language plpgsql stable as $$
declare
    wall timestamp := at at time zone zone;
    clock time := wall;
    today smallint := extract(isodow from wall);
begin
    if opens = closes then
        return today = any (days);
    elsif opens < closes then
        return clock >= opens and clock < closes and today = any (days);
    end if;
    return clock >= opens and today = any (days) or clock < closes and (today + 5) % 7 + 1 = any (days); -- yesterday's
end $$;

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

-- The first moment of the day from which clocks in `zone` run by another rule than at its beginning; null: they are not changed on that day.
create function clock_change(day date, zone text) returns timestamptz
language plpgsql stable as $$
declare
    before timestamptz := day::timestamp at time zone zone;
    after timestamptz := (day + 1)::timestamp at time zone zone;
    offset_before interval := (before at time zone zone) - (before at time zone 'UTC');
    middle timestamptz;
begin
    if (after at time zone zone) - (after at time zone 'UTC') = offset_before then
        return null;
    end if;
    while after - before > interval '1 second' loop
        middle := date_trunc('second', before + (after - before) / 2);
        if (middle at time zone zone) - (middle at time zone 'UTC') = offset_before then
            before := middle;
        else
            after := middle;
        end if;
    end loop;
    return after;
end $$;

-- The first moment from `at` on at which the window is open in `zone`; null when there is none within two weeks.
create function window_opens(at timestamptz, zone text, days smallint[], opens time, closes time) returns timestamptz
language plpgsql stable as $$
declare
    opening time := case when opens = closes then time '00:00' else opens end;
    today date;
    change timestamptz;
    candidate timestamptz;
    found timestamptz;
begin
    if window_is_open(at, zone, days, opens, closes) then
        return at;
    end if;
    today := (at at time zone zone)::date;
    for i in 0 .. 14 loop
        -- When the clocks show the time of opening, for the first time that day …
        if extract(isodow from today + i)::smallint = any (days) then
            candidate := wall_moment((today + i) + opening, zone);
            -- A window that lies wholly inside the hour skipped in spring does not open that day.
            if candidate > at and window_is_open(candidate, zone, days, opens, closes) then
                found := candidate;
            end if;
        end if;
        -- … or, in autumn, once more; or when they are put into the middle of the window.
        change := clock_change(today + i, zone);
        if change is not null then
            foreach candidate in array array[change, change + ((today + i) + opening - (change at time zone zone))] loop
                if candidate >= change and candidate > at and window_is_open(candidate, zone, days, opens, closes) then
                    found := least(found, candidate);
                end if;
            end loop;
        end if;
        if found is not null then
            return found;
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
language plpgsql stable as $$
begin
    return (select count(*) from (select from call_tasks where campaign_id = campaign and ready limit most) a)
           + (select count(*) from (select from call_tasks where campaign_id = campaign and waiting limit most) b)
           + (select count(*) from (select from live_calls where campaign_id = campaign limit most) c);
end $$;

-- Whether no task waits for a call, now or later, and at most `most` are under way.
create function is_near_end(campaign uuid, most integer) returns boolean
language plpgsql stable as $$
begin
    return not exists (select from call_tasks where campaign_id = campaign and ready)
        and not exists (select from call_tasks where campaign_id = campaign and waiting)
        and (select count(*) from (select from live_calls where campaign_id = campaign limit most + 1) l) <= most;
end $$;

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

-- The end of an upload, in three steps of one transaction: open_upload, insert_upload_rows for each stretch of the temporary table call_list_rows (a million
-- rows in one statement would outlast its timeout), close_upload. Uploads into one campaign take turns from the first step on: two that share numbers in
-- another order would deadlock. verdict: ok, not_found, or bad_zone with the name in `detail`; pages: how long the temporary table is.
create function open_upload(campaign uuid, company uuid, out verdict text, out detail text, out pages bigint)
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(campaign::text, 1));
    perform from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    if not found then
        verdict := 'not_found';
        return;
    end if;
    select z.timezone into detail from (select distinct r.timezone from call_list_rows r where r.timezone is not null) z
    where not is_time_zone(z.timezone) limit 1;
    verdict := case when detail is null then 'ok' else 'bad_zone' end;
    pages := pg_relation_size('call_list_rows') / current_setting('block_size')::bigint;
end $$;

-- The rows on pages first_page to before_page become tasks, in the order of the file. staged: how many they are; created: how many were not there yet.
create function insert_upload_rows(campaign uuid, first_page bigint, before_page bigint, out staged bigint, out created bigint)
language plpgsql as $$
declare
    here tid := format('(%s,0)', first_page)::tid;
    there tid := format('(%s,0)', before_page)::tid;
begin
    select count(*) into staged from call_list_rows r where r.ctid >= here and r.ctid < there;
    insert into call_tasks (id, campaign_id, company_id, phone_number, priority, timezone, ready_at, created_at, updated_at)
        select r.id, c.id, c.company_id, r.phone_number, r.priority, r.timezone, now(), now(), now()
        from call_list_rows r join campaigns c on c.id = campaign
        where r.ctid >= here and r.ctid < there
    on conflict (campaign_id, phone_number) do nothing;
    get diagnostics created = row_count;
    insert into call_task_contacts (task_id, company_id, contact_name, contact_data)
        select r.id, t.company_id, r.contact_name, r.contact_data from call_list_rows r join call_tasks t on t.id = r.id
        where r.ctid >= here and r.ctid < there;
end $$;

-- verdict: ok, not_found, ended.
create function close_upload(campaign uuid, upload uuid, file text, rows_total bigint, rows_created bigint, rows_double bigint, rows_wrong bigint,
                             out verdict text)
language plpgsql as $$
declare
    c campaigns;
begin
    update campaign_pacing p set idle_until = '-infinity' where p.campaign_id = campaign;
    -- Under the pacing row's lock now: a cancel came either before this, and is seen here, or comes after the commit and sees the new tasks.
    select * into c from campaigns k where k.id = campaign;
    verdict := case when c.id is null then 'not_found' when c.status = 'cancelled' then 'ended' else 'ok' end;
    if verdict = 'ok' then
        insert into call_list_uploads (id, campaign_id, company_id, file_name, total, created, duplicates, error_count, created_at)
            values (upload, c.id, c.company_id, file, rows_total, rows_created, rows_double, rows_wrong, now());
    end if;
end $$;
