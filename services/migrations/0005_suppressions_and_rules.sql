-- What dispatch asks before a call: the do-not-call list, the rules by disposition with a campaign's own over them, what stands in a task's way, and the
-- settlement of calls whose end is unknown. The functions of 0004 that claim, begin and finish call these; so do explain and simulate (0006): one set of rules.

-- ---------------------------------------------------------------------------------------------------------------------- tables

alter table campaigns
    add column on_unknown text not null default 'hold' check (on_unknown in ('hold', 'retry')),
    add column retry_policy jsonb not null default '{}'; -- {"busy": {"retry": …, "delay_minutes": …, "max_attempts": …}}, each of the three null or absent: the default

-- ringing_at, answered_at: as the agent said, by the server's clock. settled_by: who, after the end had been unknown. An attempt ends `suppressed` when BeginDial
-- finds the number on the do-not-call list.
alter table call_attempts
    add column ringing_at timestamptz,
    add column answered_at timestamptz,
    add column settled_by text check (settled_by in ('agent', 'record', 'person', 'policy')),
    drop constraint call_attempts_ended_how_check,
    add constraint call_attempts_ended_how_check check (ended_how in ('finished', 'expired', 'cancelled', 'unknown', 'suppressed'));

-- The agent or a provider failed: as a failure of the carrier.
insert into disposition_rules values
    ('provider_error', 'retry', 5, '1 minute', '15 minutes', 'fail', 'provider'),
    ('platform_error', 'retry', 5, '1 minute', '15 minutes', 'fail', 'platform');

-- pattern: a number in E.164, or the beginning of numbers.
create table suppressions (
    id uuid primary key,
    company_id uuid not null references companies (id) on delete cascade,
    pattern text not null,
    is_prefix boolean not null,
    reason text,
    source text not null check (source in ('manual', 'upload', 'opt_out')),
    call_id uuid,
    created_at timestamptz not null,
    constraint suppressions_pattern_key unique (company_id, pattern, is_prefix)
);
create index suppressions_newest on suppressions (company_id, created_at desc, id desc);
create index suppressions_prefixes on suppressions (company_id, pattern) where is_prefix;

-- Open tasks by number, for a new suppression. Byte order, so that a prefix is a range; a claim only takes rows out of it.
create index call_tasks_open_numbers on call_tasks (company_id, phone_number text_pattern_ops) where ready or waiting;
-- Tasks that a call's record may still settle.
create index call_tasks_unsettled on call_tasks (updated_at) where state = 'unknown' or waiting_for = 'unknown';

-- ---------------------------------------------------------------------------------------------------------------------- counters and views

drop view campaign_details;
drop function campaign_counters(uuid);

-- pending: waiting for a call, first or repeated. failed: ended without success, which includes people who do not want to be called and calls whose
-- end is unknown; both are also counted by themselves.
create function campaign_counters(campaign uuid, out total bigint, out completed bigint, out failed bigint, out pending bigint, out in_progress bigint,
                                  out suppressed bigint, out unknown bigint, out cancelled bigint)
language sql stable as $$
    select coalesce(sum(n), 0)::bigint,
           coalesce(sum(n) filter (where state = 'completed'), 0)::bigint,
           coalesce(sum(n) filter (where state in ('failed', 'suppressed', 'unknown')), 0)::bigint,
           coalesce(sum(n) filter (where state in ('pending', 'retry')), 0)::bigint,
           coalesce(sum(n) filter (where state = 'in_progress'), 0)::bigint,
           coalesce(sum(n) filter (where state = 'suppressed'), 0)::bigint,
           coalesce(sum(n) filter (where state = 'unknown'), 0)::bigint,
           coalesce(sum(n) filter (where state = 'cancelled'), 0)::bigint
    from (select state, tasks as n from campaign_counts where campaign_id = campaign
          union all
          select state, change from campaign_count_changes where campaign_id = campaign) counts
$$;

-- What a Campaign message is made of, in the order of enum campaign_column (services/campaign/campaign.h).
create view campaign_details as
    select c.id, c.company_id, c.skillbase_id, c.name, c.description, c.status, c.start_time, c.end_time,
           to_char(c.daily_start_time, 'HH24:MI') as daily_start_time, to_char(c.daily_end_time, 'HH24:MI') as daily_end_time,
           c.timezone, array_to_string(c.days_of_week, ',') as days_of_week,
           c.max_concurrent_calls, c.calls_per_minute, c.max_retries, c.retry_delay_minutes,
           n.total, n.completed, n.failed, n.pending, n.in_progress,
           c.created_at, c.updated_at, c.started_at, c.completed_at,
           n.suppressed, n.unknown, n.cancelled, c.on_unknown, c.retry_policy
    from campaigns c cross join lateral campaign_counters(c.id) n;

-- ---------------------------------------------------------------------------------------------------------------------- do-not-call

-- RFC 9562: a version 4 with 48 bits of milliseconds put in front and two more bits of the version set.
create function uuid_v7() returns uuid
language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
               placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

create function is_suppressed(company uuid, phone text) returns boolean
language plpgsql stable as $$
begin
    return exists (select from suppressions s where s.company_id = company and s.pattern = phone and not s.is_prefix)
        or exists (select from suppressions s where s.company_id = company and s.is_prefix
                       and s.pattern = any (array(select left(phone, n) from generate_series(2, length(phone)) n)));
end $$;

-- Open tasks of all campaigns of the company become suppressed; how many did. Who is locked right now — being claimed, edited or cancelled — is left out: waiting
-- could deadlock, and the claim and BeginDial ask again anyway. So are those beyond `most`: one transaction stays bounded.
create function suppress_open_tasks(company uuid, phone text, as_prefix boolean, most integer) returns integer
language plpgsql as $$
declare
    n integer;
begin
    with open as materialized (
        select t.id from call_tasks t
        where t.company_id = company and (t.ready or t.waiting)
            and t.phone_number ~>=~ phone and t.phone_number ~<=~ case when as_prefix then phone || ':' else phone end -- ':' follows '9'
        limit most for update skip locked
    )
    update call_tasks t set state = 'suppressed', ready = false, waiting = false, waiting_for = null, updated_at = dispatch_now()
    from open where t.id = open.id;
    get diagnostics n = row_count;
    return n;
end $$;

-- Adds a number or prefix. False: it was there.
create function suppress(new_id uuid, company uuid, phone text, as_prefix boolean, why text, from_where text, by_call uuid) returns boolean
language plpgsql as $$
begin
    insert into suppressions (id, company_id, pattern, is_prefix, reason, source, call_id, created_at)
        values (new_id, company, phone, as_prefix, why, from_where, by_call, dispatch_now())
    on conflict do nothing;
    if not found then
        return false;
    end if;
    perform suppress_open_tasks(company, phone, as_prefix, 100000);
    return true;
end $$;

-- The end of an upload (rows in the temporary table call_list_rows, a prefix ending with '*'); called until `staged` is zero, each time for another stretch.
create function insert_suppressions(company uuid, first_page bigint, before_page bigint, out staged bigint, out created bigint, out tasks bigint)
language plpgsql as $$
declare
    here tid := format('(%s,0)', first_page)::tid;
    there tid := format('(%s,0)', before_page)::tid;
begin
    select count(*) into staged from call_list_rows r where r.ctid >= here and r.ctid < there;
    with made as (
        insert into suppressions (id, company_id, pattern, is_prefix, reason, source, created_at)
            select r.id, company, rtrim(r.phone_number, '*'), r.phone_number like '%*', nullif(left(r.contact_data ->> 'reason', 500), ''), 'upload', dispatch_now()
            from call_list_rows r where r.ctid >= here and r.ctid < there
            order by 3, 4 -- two uploads that share numbers must not wait for each other crosswise
        on conflict do nothing
        returning pattern, is_prefix
    )
    select count(*), coalesce(sum(suppress_open_tasks(company, m.pattern, m.is_prefix, 100000)), 0) into created, tasks from made m;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- what stands in the way

-- Whether the campaign hands out calls at all.
create function campaign_may_call(c campaigns) returns boolean
language plpgsql stable as $$
begin
    return c.status = 'running' and exists (select from companies o where o.id = c.company_id and o.is_active);
end $$;

-- How many more calls may be under way. Counted from the rows themselves, so that nothing can leak. The caller has the pacing row locked and runs this in a
-- statement of its own: an older snapshot would overshoot.
create function free_lines(c campaigns) returns integer
language plpgsql stable as $$
begin
    return c.max_concurrent_calls - (select count(*) from live_calls l where l.campaign_id = c.id);
end $$;

-- Attempts of one contact in campaign c after which `disposition` ends it.
create function attempt_limit(c campaigns, disposition text) returns integer
language sql immutable as $$
    select coalesce((c.retry_policy -> disposition ->> 'max_attempts')::integer, c.max_retries + 1)
$$;

-- Whether any disposition would leave the contact another attempt: the limits may have been lowered since the last one ended.
create function has_attempts_left(t call_tasks, c campaigns) returns boolean
language plpgsql stable as $$
begin
    if t.attempt_count <= c.max_retries then
        return true;
    end if;
    return t.attempt_count < coalesce((select max(attempt_limit(c, d.disposition)) from disposition_rules d
                                       where d.own_limit is null and d.disposition in (select jsonb_object_keys(c.retry_policy))), 0);
end $$;

create function is_person_busy(t call_tasks) returns boolean
language plpgsql stable as $$
begin
    return exists (select from live_calls l where l.company_id = t.company_id and l.phone_number = t.phone_number and l.task_id <> t.id);
end $$;

-- What keeps a ready task from being called at `at`, in the order of the rules: suppressed, attempts, window, person_busy; null: nothing. until: when to look again;
-- null: never. opens: next_call_time() for the contact's zone, which many tasks share.
create function task_obstacle(t call_tasks, c campaigns, at timestamptz, opens timestamptz, out obstacle text, out until timestamptz)
language plpgsql stable as $$
begin
    if is_suppressed(t.company_id, t.phone_number) then
        obstacle := 'suppressed';
    elsif not has_attempts_left(t, c) then
        obstacle := 'attempts';
    elsif opens is distinct from at then
        obstacle := 'window';
        until := coalesce(opens, at + interval '1 day'); -- no opening in sight: a zone's rules may change
    elsif is_person_busy(t) then
        obstacle := 'person_busy';
        until := at + interval '10 seconds';
    end if;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- what follows from an end

-- The rule of a disposition with the campaign's own over it. Without own_limit, a delay that is not null is the campaign's own.
create function rule_for(c campaigns, said text) returns disposition_rules
language plpgsql stable as $$
declare
    r disposition_rules;
    own jsonb := c.retry_policy -> said;
    own_delay interval := make_interval(mins => (own ->> 'delay_minutes')::integer);
begin
    select * into r from disposition_rules d where d.disposition = said;
    if r.disposition is null or own is null then
        return r;
    end if;
    if own ->> 'retry' = 'false' and r.next = 'retry' then
        r.next := 'failed';
    elsif own ->> 'retry' = 'true' and r.next = 'failed' then
        r.next := 'retry';
    end if;
    r.delay := coalesce(own_delay, r.delay);
    if r.own_limit is not null then
        r.delay_most := greatest(r.delay_most, r.delay);
        r.own_limit := coalesce((own ->> 'max_attempts')::integer - 1, r.own_limit);
    end if;
    return r;
end $$;

-- The end of task t's call: what settle_task() says, written. The caller has the row locked. Returns the new row.
create function end_call(t call_tasks, c campaigns, r disposition_rules, said_outcome text, call uuid, dialed_at timestamptz, at timestamptz) returns call_tasks
language plpgsql as $$
begin
    t := settle_task(t, c, r, said_outcome, dialed_at, at);
    if t.waiting and is_suppressed(t.company_id, t.phone_number) then
        t.state := 'suppressed';
        t.waiting := false;
        t.waiting_for := null;
    end if;
    update call_tasks v set state = t.state, ready = false, waiting = t.waiting, waiting_for = t.waiting_for, ready_at = t.ready_at,
        attempt_count = t.attempt_count, carrier_errors = t.carrier_errors, outcome = t.outcome, last_attempt_at = t.last_attempt_at, updated_at = at
    where v.id = t.id;
    if r.disposition = 'opt_out' then
        perform suppress(uuid_v7(), t.company_id, t.phone_number, false, 'opted out during a call', 'opt_out', call);
    end if;
    return t;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- progress and settlement

-- verdict: ok, not_found, stale, finished, not_dialing. The first word stands.
create function report_progress(call uuid, with_fence bigint, company uuid, stage text,
                                out verdict text, out ringing timestamptz, out answered timestamptz)
language plpgsql as $$
declare
    at timestamptz := dispatch_now();
    a call_attempts;
begin
    select * into a from call_attempts v where v.call_id = call and v.company_id = coalesce(company, v.company_id) for update;
    verdict := case when a.call_id is null then 'not_found'
                    when a.fence <> with_fence then 'stale'
                    when a.ended_how = 'finished' then 'finished'
                    when a.ended_how is not null then 'stale'
                    when a.dialed_at is null then 'not_dialing'
                    else 'ok' end;
    if verdict = 'ok' then
        update call_attempts v set ringing_at = case when stage = 'ringing' then coalesce(v.ringing_at, at) else v.ringing_at end,
            answered_at = case when stage = 'answered' then coalesce(v.answered_at, at) else v.answered_at end
        where v.call_id = call
        returning v.ringing_at, v.answered_at into ringing, answered;
    end if;
end $$;

-- What a call's record (analytics' table calls: status 2 completed, 3 failed, 4 transferred) says about how an attempt ended; null: nothing that is certain.
create function record_disposition(status smallint, outcome text, turns integer) returns text
language sql immutable as $$
    select case when outcome in ('voicemail', 'no_answer', 'busy') then outcome
                when status in (2, 4) or turns > 0 then 'answered' end
$$;

-- Settles a task whose call's end is unknown: by a person (settle_task RPC) or by its record. The caller knows that t.call_id is the call that is meant.
create function settle_unknown(campaign uuid, task uuid, company uuid, call uuid, said text, said_outcome text, note text, who text, out verdict text)
language plpgsql as $$
declare
    at timestamptz;
    c campaigns;
    t call_tasks;
    r disposition_rules;
    a call_attempts;
begin
    perform from campaign_pacing p where p.campaign_id = campaign and p.company_id = coalesce(company, p.company_id) for update;
    if not found then
        verdict := 'not_found';
        return;
    end if;
    select * into c from campaigns k where k.id = campaign;
    at := dispatch_now();
    select * into t from call_tasks v where v.id = task and v.campaign_id = campaign for update;
    r := rule_for(c, said);
    verdict := case when t.id is null then 'not_found'
                    when r.disposition is null then 'bad_disposition'
                    when call is not null and t.call_id is distinct from call then 'call_changed'
                    when t.state <> 'unknown' and t.waiting_for is distinct from 'unknown' then 'not_unknown'
                    else 'ok' end;
    if verdict <> 'ok' then
        return;
    end if;
    select * into a from call_attempts v where v.call_id = t.call_id;
    t := end_call(t, c, r, said_outcome, t.call_id, a.dialed_at, at);
    update call_attempts v set disposition = said, outcome = coalesce(said_outcome, v.outcome), error_message = coalesce(note, v.error_message), fault = r.fault,
        settled_by = who, result_state = t.state, result_ready_at = case when t.waiting then t.ready_at end
    where v.call_id = t.call_id;
    perform complete_if_done(campaign);
end $$;

-- Settles unknown calls whose record the agent has reported to analytics (which are only read here). Looks at the newest, and for a day: later a person must.
-- How many it settled.
create function settle_by_records(most integer) returns integer
language plpgsql as $$
declare
    f record;
    n integer := 0;
begin
    for f in
        select t.campaign_id, t.id, t.call_id, record_disposition(k.status, k.outcome, k.turn_count) as said, k.outcome
        from (select * from call_tasks where (state = 'unknown' or waiting_for = 'unknown') and updated_at > dispatch_now() - interval '1 day'
              order by updated_at desc limit 1000) t
            join calls k on k.id = t.call_id and k.company_id = t.company_id and k.ended_at is not null
        where record_disposition(k.status, k.outcome, k.turn_count) is not null
        order by t.campaign_id, t.id limit most
    loop
        if (settle_unknown(f.campaign_id, f.id, null, f.call_id, f.said, f.outcome, null, 'record')) = 'ok' then
            n := n + 1;
        end if;
    end loop;
    return n;
end $$;
