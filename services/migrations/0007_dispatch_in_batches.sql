-- Dispatch in batches: one statement claims for many workers, gives leave to many calls, ends many calls.
--
-- The rules stay where they were (0002, 0005). What changes is the cost of asking them:
--   sharing a campaign    BeginDial and FinishTask shared the campaign's row (FOR SHARE), which writes to it, and with several sharers makes a multixact each
--                         time. Now they share an advisory lock, in memory only; whoever changes a campaign takes it exclusively, by a trigger, so nobody can forget.
--   sets                  begin_dials() and finish_tasks() take the ordinary calls in a handful of statements and WAIT FOR NOTHING that others may hold for long.
--                         What is not ordinary — stale, repeated, refused, opted out, a campaign near its end, a lock that is taken — they leave out; the
--                         service asks for it alone, by begin_dial() and finish_task(), which know every case. So one call never harms another.
--   foreign keys          live_calls and call_attempts named their task by foreign keys, checked at every claim. Tasks go only with their campaign: a trigger
--                         on campaigns takes along what belongs to them.
--   attempts              An attempt under way is its row of live_calls; its row of call_attempts is written once, when it ends. (Only one whose end is unknown is
--                         written again, when that is settled.)
--   updates in place      no index knows a task's state, reason or updated_at any more, so the end of a call changes its row in place (HOT).
--
-- Order of locks: upload lock (advisory) → campaign_pacing → campaign (advisory, 0002's "campaigns") → live_calls → call_tasks.

-- ---------------------------------------------------------------------------------------------------------------------- the lock of a campaign

create function campaign_key(campaign uuid) returns bigint
language sql immutable as $$
    select uuid_hash_extended(campaign, 7)
$$;

-- Waits for every BeginDial and FinishTask that has read the campaign: when this has committed, none of them is still to come, and those that come read the new row.
create function lock_campaign() returns trigger
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(campaign_key(new.id));
    return new;
end $$;
create trigger campaigns_changed before update on campaigns for each row execute function lock_campaign();

-- The pacing row first: a claim that has it may be adding calls.
create function forget_calls() returns trigger
language plpgsql as $$
begin
    perform from campaign_pacing p where p.campaign_id = old.id for update;
    perform pg_advisory_xact_lock(campaign_key(old.id));
    delete from live_calls l where l.campaign_id = old.id;
    delete from call_attempts a using call_tasks t where t.campaign_id = old.id and a.task_id = t.id;
    return old;
end $$;
create trigger campaigns_going before delete on campaigns for each row execute function forget_calls();

alter table live_calls drop constraint live_calls_task_id_fkey, drop constraint live_calls_task_id_key; -- live_callee says the same and more
alter table call_attempts drop constraint call_attempts_task_id_fkey;

-- ---------------------------------------------------------------------------------------------------------------------- attempts

alter table live_calls
    add column number integer,
    add column claimed_at timestamptz,
    add column ringing_at timestamptz,
    add column answered_at timestamptz;
update live_calls l set number = a.number, claimed_at = a.claimed_at, ringing_at = a.ringing_at, answered_at = a.answered_at from call_attempts a where a.call_id = l.call_id;
alter table live_calls alter column number set not null, alter column claimed_at set not null;
delete from call_attempts a using live_calls l where a.call_id = l.call_id;
alter table call_attempts alter column ended_at set not null, alter column ended_how set not null, set (fillfactor = 95);

create or replace view call_task_details as
    select t.id, t.campaign_id, t.phone_number, d.contact_name, d.contact_data, t.state, t.attempt_count,
           coalesce(l.dialed_at, a.dialed_at, t.last_attempt_at) as last_attempt_at,
           case when t.waiting or t.ready and t.state = 'retry' then t.ready_at end as next_attempt_at,
           t.call_id, t.outcome, a.error_message, t.priority, t.timezone, t.created_at, t.updated_at
    from call_tasks t
        join call_task_contacts d on d.task_id = t.id
        left join live_calls l on l.call_id = t.call_id
        left join call_attempts a on a.call_id = t.call_id;

-- What has ended, and how: the live row becomes the attempt's.
create function end_attempt(l live_calls, at timestamptz, how text, whose_fault text, by_whom text) returns void
language plpgsql as $$
begin
    insert into call_attempts (call_id, task_id, campaign_id, company_id, number, fence, worker_id, claimed_at, dialed_at, ringing_at, answered_at, ended_at, ended_how,
                               fault, settled_by)
        values (l.call_id, l.task_id, l.campaign_id, l.company_id, l.number, l.fence, l.worker_id, l.claimed_at, l.dialed_at, l.ringing_at, l.answered_at, at, how,
                whose_fault, by_whom);
end $$;

-- Tasks that a call's record may still settle: since when. Null: none.
alter table call_tasks add column unsettled_since timestamptz;
update call_tasks set unsettled_since = updated_at where state = 'unknown' or waiting_for = 'unknown';
drop index call_tasks_unsettled;
create index call_tasks_unsettled on call_tasks (unsettled_since) where unsettled_since is not null;

-- ---------------------------------------------------------------------------------------------------------------------- rules, to be asked for many at once

create function attempts_are_left(attempts integer, c campaigns) returns boolean
language plpgsql stable as $$
begin
    if attempts <= c.max_retries then
        return true;
    end if;
    return attempts < coalesce((select max(attempt_limit(c, d.disposition)) from disposition_rules d
                                where d.own_limit is null and d.disposition in (select jsonb_object_keys(c.retry_policy))), 0);
end $$;

create or replace function has_attempts_left(t call_tasks, c campaigns) returns boolean
language plpgsql stable as $$
begin
    return attempts_are_left(t.attempt_count, c);
end $$;

-- Whether the company has a do-not-call list at all: else none of its numbers need be looked for.
create function has_suppressions(company uuid) returns boolean
language plpgsql stable as $$
begin
    return exists (select from suppressions s where s.company_id = company);
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- claiming

drop function claim_tasks(text, integer, uuid, uuid, uuid[], interval);
drop function take_tasks(campaigns, text, integer, uuid[], interval, timestamptz);
drop function task_obstacle(call_tasks, campaigns, timestamptz, timestamptz);
drop type task_verdict;

-- Takes up to `wanted` tasks of a campaign whose pacing row the caller has locked: live call and task are written together, the n-th task for workers[n] as
-- call_ids[n]. Who cannot be called now — on the do-not-call list, no attempts left, window closed, on the phone for another campaign — is put aside
-- until the next moment at which he could be, with the reason. How many it took.
create function take_tasks(c campaigns, workers text[], wanted integer, call_ids uuid[], lease interval, at timestamptz) returns integer
language plpgsql as $$
declare
    has_list boolean := has_suppressions(c.company_id);
    seen integer;
    inserted integer;
begin
    -- Whoever's time has come is ready again.
    if exists (select from call_tasks where campaign_id = c.id and waiting and ready_at <= at) then
        update call_tasks t set ready = true, waiting = false, waiting_for = null, unsettled_since = null
        from (select id from call_tasks where campaign_id = c.id and waiting and ready_at <= at order by ready_at limit 500 for update skip locked) due
        where t.id = due.id;
    end if;
    for round in 1 .. 10 loop
        with batch as materialized (
            select t.id, t.priority, t.phone_number, t.timezone, t.attempt_count, t.carrier_errors, t.fence
            from call_tasks t where t.campaign_id = c.id and t.ready
            -- After a round of people who cannot be called, look further at once.
            order by t.priority desc, t.id limit case when round = 1 then wanted else greatest(wanted, 100) end for update skip locked
        ), zones as materialized (
            select z.timezone, next_call_time(at, c, z.timezone) as opens from (select distinct b.timezone from batch b where b.timezone is not null) z
        ), judged as materialized (
            select b.*, z.opens, case when has_list and is_suppressed(c.company_id, b.phone_number) then 'suppressed'
                                      when b.attempt_count > c.max_retries and not attempts_are_left(b.attempt_count, c) then 'attempts'
                                      when b.timezone is not null and z.opens is distinct from at then 'window'
                                      -- Whoever is on the phone shows below, by live_callee; asked beforehand only when that took up a whole round.
                                      when round > 1 and exists (select from live_calls l where l.company_id = c.company_id and l.phone_number = b.phone_number)
                                      then 'person_busy' end as obstacle
            from batch b left join zones z on z.timezone = b.timezone
        ), chosen as materialized (
            select j.*, row_number() over (order by j.priority desc, j.id) as position from judged j where j.obstacle is null
            order by j.priority desc, j.id limit wanted
        ), live as ( -- sorted: two claims of one company must not wait for each other crosswise
            insert into live_calls (call_id, task_id, campaign_id, company_id, phone_number, worker_id, fence, number, claimed_at, lease_until)
                select call_ids[h.position], h.id, c.id, c.company_id, h.phone_number, workers[h.position], h.fence + 1, h.attempt_count + 1 + h.carrier_errors, at, at + lease
                from chosen h order by h.phone_number
            on conflict do nothing
            returning live_calls.call_id, live_calls.task_id
        ), claimed as (
            select j.id, l.call_id, coalesce(j.obstacle, 'person_busy') as obstacle,
                   case j.obstacle when 'suppressed' then null when 'attempts' then null
                                   when 'window' then coalesce(j.opens, at + interval '1 day') -- no opening in sight: a zone's rules may change
                                   else at + interval '10 seconds' end as until
            from judged j left join live l on l.task_id = j.id
            where j.obstacle is not null or j.id in (select h.id from chosen h)
        ), written as (
            update call_tasks t set ready = false, state = case when k.call_id is not null then 'in_progress' when k.obstacle = 'suppressed' then 'suppressed'
                                                                when k.obstacle = 'attempts' then 'failed' else t.state end,
                attempt_count = t.attempt_count + case when k.call_id is null then 0 else 1 end,
                fence = t.fence + case when k.call_id is null then 0 else 1 end,
                call_id = coalesce(k.call_id, t.call_id),
                waiting = k.call_id is null and k.until is not null,
                waiting_for = case when k.call_id is null and k.until is not null then k.obstacle end,
                ready_at = case when k.call_id is null then coalesce(k.until, t.ready_at) else t.ready_at end,
                updated_at = case when k.call_id is null and k.until is not null then t.updated_at else at end
            from claimed k where t.id = k.id
        )
        select (select count(*) from batch), (select count(*) from live) into seen, inserted;
        -- Fewer than wanted will do: persons locked in two runs would not be locked in order.
        exit when inserted > 0 or seen = 0;
    end loop;
    return inserted;
end $$;

-- Hands out up to cardinality(workers) tasks of ONE campaign: the one whose company, then which itself, was served longest ago. (One, so that the persons are
-- locked in one sorted run.) The n-th goes to workers[n] as call_ids[n], a fresh id. When there is nothing, one row without call_id: try_again_ms says when
-- there may be.
create function claim_tasks(workers text[], company uuid, campaign uuid, call_ids uuid[], lease interval)
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
    n integer;
    taken integer;
begin
    -- A claim need not outlive a crash: leave to dial is what has to be on disk, and its commit takes the claim with it. An agent whose claim is lost is refused.
    perform set_config('synchronous_commit', 'off', true);
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
        continue when not campaign_may_call(c); -- the company, just now
        opens := next_call_time(at, c, null);
        if opens is distinct from at then
            update campaign_pacing w set idle_until = coalesce(opens, at + interval '1 day') where w.campaign_id = c.id;
            continue;
        end if;
        select * into pace from pace_campaign(p, c.calls_per_minute, at);
        p := pace.p;
        n := least(cardinality(workers), pace.allowed, free_lines(c));
        taken := 0;
        if n > 0 then
            taken := take_tasks(c, workers, n, call_ids, lease, at);
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
                       d.contact_data, l.number, l.lease_until, 0
                from live_calls l
                    join call_tasks t on t.id = l.task_id
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

-- For one worker. What services of the version before call, while instances are replaced one by one.
create function claim_tasks(worker text, wanted integer, company uuid, campaign uuid, call_ids uuid[], lease interval)
returns table (call_id uuid, fence bigint, task_id uuid, campaign_id uuid, company_id uuid, skillbase_id uuid, skillbase_version integer,
               phone_number text, contact_name text, contact_data jsonb, attempt_number integer, lease_until timestamptz, try_again_ms integer)
language plpgsql as $$
begin
    return query select * from claim_tasks(array_fill(worker, array[wanted]), company, campaign, call_ids, lease);
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- leave to dial

-- Leave for the ordinary ones among many calls. A row for each that has got it, with its position in the arrays; who is missing has to ask alone.
-- companies: of who asks, each (null: any).
create function begin_dials(calls uuid[], fences bigint[], companies uuid[], lease interval) returns table (place integer, lease_until timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
    at timestamptz;
    shared uuid[];
begin
    if cardinality(calls) = 0 then
        return;
    end if;
    -- Held until commit: a pause that answers later waits for this; one that is under way takes its campaign's calls out of here.
    select array_agg(k.campaign_id) into shared
    from (select distinct l.campaign_id from live_calls l where l.call_id = any (calls) order by 1) k
    where pg_try_advisory_xact_lock_shared(campaign_key(k.campaign_id));
    at := dispatch_now();
    return query
        with asked as materialized (
            select distinct on (q.call_id) q.call_id, q.fence, q.company_id, q.place
            from unnest(calls, fences, companies) with ordinality q (call_id, fence, company_id, place) order by q.call_id, q.place
        ), mine as materialized (
            select l.call_id, l.fence, l.campaign_id, l.company_id, l.phone_number, t.timezone, q.place
            from asked q join live_calls l on l.call_id = q.call_id join call_tasks t on t.id = l.task_id
            where l.fence = q.fence and l.company_id = coalesce(q.company_id, l.company_id) and l.dialed_at is null and l.lease_until > at
                and l.campaign_id = any (shared)
        ), open as materialized (
            select d.campaign_id, d.timezone, has_suppressions(c.company_id) as has_list
            from (select distinct m.campaign_id, m.timezone from mine m) d join campaigns c on c.id = d.campaign_id
            where campaign_may_call(c) and next_call_time(at, c, d.timezone) is not distinct from at
        ), allowed as materialized ( -- in one order for all
            select m.call_id, m.fence, m.place from mine m join open o on o.campaign_id = m.campaign_id and o.timezone is not distinct from m.timezone
            where not (o.has_list and is_suppressed(m.company_id, m.phone_number)) order by m.call_id
        ), begun as (
            update live_calls v set dialed_at = at, lease_until = at + lease
            from allowed m where v.call_id = m.call_id and v.fence = m.fence and v.dialed_at is null and v.lease_until > at
            returning v.lease_until, m.place
        )
        select b.place::integer, b.lease_until from begun b;
end $$;

-- Leave to dial. verdict: ok, not_found, stale, finished, not_running (status: where the campaign stands), window_closed, suppressed (the task has ended so).
create or replace function begin_dial(call uuid, with_fence bigint, company uuid, lease interval, out verdict text, out lease_until timestamptz, out status text)
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
                        when a.ended_how = 'suppressed' then 'suppressed'
                        else 'stale' end;
        status := 'cancelled';
        return;
    end if;
    if l.fence <> with_fence then
        verdict := 'stale';
        return;
    end if;
    -- Held until commit: a pause that answers later waits for this, one that answered sooner is seen.
    perform pg_advisory_xact_lock_shared(campaign_key(l.campaign_id));
    select * into c from campaigns k where k.id = l.campaign_id;
    at := dispatch_now();
    if l.dialed_at is null then
        status := c.status;
        if not campaign_may_call(c) then
            verdict := 'not_running';
            return;
        end if;
        if next_call_time(at, c, (select t.timezone from call_tasks t where t.id = l.task_id)) is distinct from at then
            verdict := 'window_closed';
            return;
        end if;
        if is_suppressed(c.company_id, l.phone_number) then
            delete from live_calls v where v.call_id = call and v.fence = with_fence and v.dialed_at is null returning * into l;
            verdict := case when found then 'suppressed' else 'stale' end;
            if found then
                perform end_attempt(l, at, 'suppressed', null, null);
                update call_tasks t set state = 'suppressed', attempt_count = t.attempt_count - 1, updated_at = at where t.id = l.task_id;
            end if;
            return;
        end if;
        update live_calls v set dialed_at = at, lease_until = at + lease
        where v.call_id = call and v.fence = with_fence and v.dialed_at is null and v.lease_until > at
        returning v.lease_until into lease_until;
        if found then
            verdict := 'ok';
            return;
        end if;
    end if;
    -- Begun already (asked again), or taken away meanwhile.
    select v.lease_until into lease_until from live_calls v where v.call_id = call and v.fence = with_fence and v.dialed_at is not null;
    verdict := case when found then 'ok' else 'stale' end;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- the end of a call

create or replace function end_call(t call_tasks, c campaigns, r disposition_rules, said_outcome text, call uuid, dialed_at timestamptz, at timestamptz) returns call_tasks
language plpgsql as $$
begin
    t := settle_task(t, c, r, said_outcome, dialed_at, at);
    if t.waiting and is_suppressed(t.company_id, t.phone_number) then
        t.state := 'suppressed';
        t.waiting := false;
        t.waiting_for := null;
    end if;
    update call_tasks v set state = t.state, ready = false, waiting = t.waiting, waiting_for = t.waiting_for, ready_at = t.ready_at,
        attempt_count = t.attempt_count, carrier_errors = t.carrier_errors, outcome = t.outcome, last_attempt_at = t.last_attempt_at, unsettled_since = null, updated_at = at
    where v.id = t.id;
    if r.disposition = 'opt_out' then
        perform suppress(uuid_v7(), t.company_id, t.phone_number, false, 'opted out during a call', 'opt_out', call);
    end if;
    return t;
end $$;

-- More calls than can be finishing at once: below this, the last ones of a campaign end one by one, so that the very last sees that all others have.
create function calls_near_end() returns integer
language sql immutable as $$ select 32 $$;

-- The end of the ordinary ones among many calls. A row for each that has ended, with its position in the arrays; who is missing has to ask alone: among them everyone
-- whose campaign is near its end, whose lock the last one must take.
create function finish_tasks(calls uuid[], fences bigint[], companies uuid[], saids text[], outcomes text[], errors text[])
returns table (place integer, task uuid, state text, next_attempt_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
    at timestamptz;
    shared uuid[];
begin
    if cardinality(calls) = 0 then
        return;
    end if;
    -- So that a cancel comes wholly before or after.
    select array_agg(k.campaign_id) into shared
    from (select distinct l.campaign_id from live_calls l where l.call_id = any (calls) order by 1) k
    where not is_near_end(k.campaign_id, calls_near_end()) and pg_try_advisory_xact_lock_shared(campaign_key(k.campaign_id));
    at := dispatch_now();
    return query
        with asked as materialized (
            select distinct on (q.call_id) q.* from unnest(calls, fences, companies, saids, outcomes, errors)
                with ordinality q (call_id, fence, company_id, said, outcome, error_message, place) order by q.call_id, q.place
        ), gone as ( -- in one order for all
            delete from live_calls v using asked q
            where v.call_id = q.call_id and v.fence = q.fence and v.company_id = coalesce(q.company_id, v.company_id) and v.dialed_at is not null
                and v.campaign_id = any (shared) and q.said <> 'opt_out' and exists (select from disposition_rules d where d.disposition = q.said)
            returning v, v.task_id, v.campaign_id, v.company_id, v.phone_number, v.dialed_at, q.said, q.outcome, q.error_message, q.place
        ), rules as materialized (
            select d.campaign_id, d.said, c, r, has_suppressions(c.company_id) as has_list
            from (select distinct g.campaign_id, g.said from gone g) d join campaigns c on c.id = d.campaign_id cross join lateral rule_for(c, d.said) r
        ), settled as materialized (
            select g.v as l, g.place, g.dialed_at, g.said, g.outcome as said_outcome, g.error_message, (r.r).fault as fault, n.id, n.ready_at, n.attempt_count,
                   n.carrier_errors, n.outcome, n.waiting and not s.hit as waiting, case when s.hit then 'suppressed' else n.state end as state,
                   case when not s.hit then n.waiting_for end as waiting_for
            from gone g
                join rules r on r.campaign_id = g.campaign_id and r.said = g.said
                join call_tasks t on t.id = g.task_id
                cross join lateral settle_task(t, r.c, r.r, g.outcome, g.dialed_at, at) n
                cross join lateral (select n.waiting and r.has_list and is_suppressed(g.company_id, g.phone_number) as hit) s
        ), written as (
            update call_tasks v set state = e.state, waiting = e.waiting, waiting_for = e.waiting_for, ready_at = e.ready_at, attempt_count = e.attempt_count,
                carrier_errors = e.carrier_errors, outcome = e.outcome, last_attempt_at = e.dialed_at, updated_at = at
            from settled e where v.id = e.id
        ), noted as (
            insert into call_attempts (call_id, task_id, campaign_id, company_id, number, fence, worker_id, claimed_at, dialed_at, ringing_at, answered_at, ended_at,
                                       ended_how, disposition, outcome, error_message, fault, result_state, result_ready_at)
                select (e.l).call_id, (e.l).task_id, (e.l).campaign_id, (e.l).company_id, (e.l).number, (e.l).fence, (e.l).worker_id, (e.l).claimed_at, (e.l).dialed_at,
                       (e.l).ringing_at, (e.l).answered_at, at, 'finished', e.said, e.said_outcome, e.error_message, e.fault, e.state,
                       case when e.waiting then e.ready_at end
                from settled e
        )
        select e.place::integer, e.id, e.state, case when e.waiting then e.ready_at end from settled e;
end $$;

-- The end of a call. verdict: ok, not_found, stale, not_dialing, different, bad_disposition; state and next_attempt_at: the task's. The same body is answered
-- the same for ever; a late one settles a call that had become unknown.
create or replace function finish_task(call uuid, with_fence bigint, company uuid, said text, said_outcome text, said_error text,
                                       out verdict text, out task uuid, out state text, out next_attempt_at timestamptz)
language plpgsql as $$
declare
    at timestamptz;
    campaign uuid;
    a call_attempts;
    c campaigns;
    l live_calls;
    t call_tasks;
    r disposition_rules;
    may_be_last boolean;
begin
    -- In this order: what ends between the two is seen in the second.
    select * into l from live_calls v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    if l.call_id is null then
        select * into a from call_attempts v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    end if;
    campaign := coalesce(l.campaign_id, a.campaign_id);
    if campaign is null or coalesce(l.fence, a.fence) <> with_fence then
        verdict := case when campaign is null then 'not_found' else 'stale' end;
        return;
    end if;
    if not exists (select from disposition_rules d where d.disposition = said) then
        verdict := 'bad_disposition';
        return;
    end if;
    -- Only near the campaign's end is its lock worth taking: the last one to finish must see that all others have. (complete_campaigns, run each
    -- second, would find a campaign that this misses.) Else share the campaign, so that a cancel comes wholly before or after.
    may_be_last := is_near_end(campaign, calls_near_end());
    if may_be_last then
        perform from campaign_pacing p where p.campaign_id = campaign for update;
    else
        perform pg_advisory_xact_lock_shared(campaign_key(campaign));
    end if;
    select * into c from campaigns k where k.id = campaign;
    at := dispatch_now();
    -- Again: it may have ended while we waited.
    select * into l from live_calls v where v.call_id = call for update;
    select * into a from call_attempts v where v.call_id = call for update;
    if l.call_id is null and a.call_id is null then
        verdict := 'not_found';
        return;
    end if;
    task := coalesce(l.task_id, a.task_id);
    if l.call_id is not null and l.dialed_at is null then
        verdict := 'not_dialing';
        return;
    end if;
    select * into t from call_tasks v where v.id = finish_task.task for update;
    if l.call_id is null and a.ended_how = 'finished' then
        verdict := case when (a.disposition, a.outcome, a.error_message) is not distinct from (said, said_outcome, said_error) then 'ok' else 'different' end;
        state := a.result_state;
        next_attempt_at := a.result_ready_at;
        return;
    end if;
    -- Unknown so far, and neither settled nor called again since: a late word is welcome.
    if l.call_id is null and (a.ended_how <> 'unknown' or t.call_id <> call or t.state <> 'unknown' and t.waiting_for is distinct from 'unknown') then
        verdict := 'stale';
        return;
    end if;
    r := rule_for(c, said);
    t := end_call(t, c, r, said_outcome, call, coalesce(l.dialed_at, a.dialed_at), at);
    state := t.state;
    next_attempt_at := case when t.waiting then t.ready_at end;
    if l.call_id is not null then
        delete from live_calls v where v.call_id = call;
        perform end_attempt(l, at, 'finished', null, null);
    end if;
    update call_attempts v set ended_at = at, ended_how = 'finished', disposition = said, outcome = said_outcome, error_message = said_error,
        fault = r.fault, result_state = t.state, result_ready_at = finish_task.next_attempt_at,
        settled_by = case when a.ended_how = 'unknown' then 'agent' end
    where v.call_id = call;
    if may_be_last then
        perform complete_if_done(campaign);
    end if;
    verdict := 'ok';
end $$;

-- How far a call has come. verdict: ok, not_found, stale, finished, not_dialing. The first word stands.
create or replace function report_progress(call uuid, with_fence bigint, company uuid, stage text,
                                           out verdict text, out ringing timestamptz, out answered timestamptz)
language plpgsql as $$
declare
    at timestamptz := dispatch_now();
    l live_calls;
    a call_attempts;
begin
    update live_calls v set ringing_at = case when stage = 'ringing' then coalesce(v.ringing_at, at) else v.ringing_at end,
        answered_at = case when stage = 'answered' then coalesce(v.answered_at, at) else v.answered_at end
    where v.call_id = call and v.fence = with_fence and v.company_id = coalesce(company, v.company_id) and v.dialed_at is not null
    returning v.ringing_at, v.answered_at into ringing, answered;
    if found then
        verdict := 'ok';
        return;
    end if;
    select * into l from live_calls v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    if l.call_id is not null then
        verdict := case when l.fence <> with_fence then 'stale' else 'not_dialing' end;
        return;
    end if;
    select * into a from call_attempts v where v.call_id = call and v.company_id = coalesce(company, v.company_id);
    verdict := case when a.call_id is null then 'not_found' when a.fence = with_fence and a.ended_how = 'finished' then 'finished' else 'stale' end;
end $$;

-- ---------------------------------------------------------------------------------------------------------------------- upkeep

-- Whether it is the caller's turn to do the upkeep: of all instances one does, each period. A turn is forgotten in a crash, which does no harm.
create table upkeep_turn (
    id boolean primary key default true check (id),
    taken_at timestamptz not null
) with (fillfactor = 50);
insert into upkeep_turn (taken_at) values ('-infinity');

create function take_upkeep_turn(period interval) returns boolean
language plpgsql as $$
declare
    at timestamptz := clock_timestamp(); -- not a pinned one: upkeep is about real time
begin
    perform from upkeep_turn where taken_at <= at - period for update skip locked;
    if not found then
        return false;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    update upkeep_turn set taken_at = at;
    return true;
end $$;

-- The net under automatic completion: campaigns at work in which nothing is open. How many it completed. The counters, which are right at every moment, say which
-- to look at; complete_if_done looks at the tasks themselves.
create or replace function complete_campaigns() returns integer
language plpgsql as $$
declare
    campaign uuid;
    n integer := 0;
begin
    for campaign in select p.campaign_id from campaign_pacing p cross join lateral campaign_counters(p.campaign_id) c
                    where p.status in ('running', 'paused') and c.pending = 0 and c.in_progress = 0 order by 1 limit 100 loop
        perform from campaign_pacing p where p.campaign_id = campaign and p.status in ('running', 'paused') for update skip locked;
        if found and complete_if_done(campaign) then
            n := n + 1;
        end if;
    end loop;
    return n;
end $$;

-- As in 0004, and says since when the end of a call is unknown.
create or replace function sweep_leases(most integer, out refunded bigint, out unknown bigint)
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
            delete from live_calls l using late where l.call_id = late.call_id returning l, l.task_id, l.dialed_at
        ), known as (
            select gone.*, gone.dialed_at is not null and c.on_unknown = 'retry' and c.status <> 'cancelled' and has_attempts_left(t, c) as again,
                   at + make_interval(mins => c.retry_delay_minutes) as retry_at, t.timezone, c.status as campaign_status, c
            from gone join call_tasks t on t.id = gone.task_id join campaigns c on c.id = campaign
        ), noted as (
            insert into call_attempts (call_id, task_id, campaign_id, company_id, number, fence, worker_id, claimed_at, dialed_at, ringing_at, answered_at, ended_at,
                                       ended_how, fault, settled_by)
                select (k.l).call_id, (k.l).task_id, (k.l).campaign_id, (k.l).company_id, (k.l).number, (k.l).fence, (k.l).worker_id, (k.l).claimed_at, (k.l).dialed_at,
                       (k.l).ringing_at, (k.l).answered_at, at, case when k.dialed_at is null then 'expired' else 'unknown' end, 'platform',
                       case when k.again then 'policy' end
                from known k
        ), settled as (
            update call_tasks t set
                state = case when k.again then 'retry' when k.dialed_at is not null then 'unknown' when k.campaign_status = 'cancelled' then 'cancelled'
                             when t.attempt_count + t.carrier_errors > 1 then 'retry' else 'pending' end,
                ready = k.dialed_at is null and k.campaign_status <> 'cancelled',
                waiting = k.again,
                waiting_for = case when k.again then 'unknown' end,
                ready_at = case when k.again then coalesce(next_call_time(k.retry_at, k.c, k.timezone), k.retry_at) else at end,
                attempt_count = t.attempt_count - case when k.dialed_at is null then 1 else 0 end,
                unsettled_since = case when k.dialed_at is not null then at end,
                outcome = case when k.dialed_at is null then t.outcome else 'unknown' end,
                last_attempt_at = coalesce(k.dialed_at, t.last_attempt_at),
                updated_at = at
            from known k where t.id = k.task_id
            returning k.dialed_at
        )
        select refunded + count(*) filter (where s.dialed_at is null), unknown + count(s.dialed_at), count(*) into refunded, unknown, n from settled s;
        if n > 0 then
            update campaign_pacing p set idle_until = '-infinity' where p.campaign_id = campaign;
            perform complete_if_done(campaign);
        end if;
    end loop;
end $$;

-- As in 0002; what is cancelled before dialing has had its attempt.
create or replace function cancel_open_tasks(campaign uuid, at timestamptz) returns void
language plpgsql as $$
declare
    l live_calls;
begin
    for l in select * from live_calls v where v.campaign_id = campaign and v.dialed_at is null order by v.call_id for update loop
        delete from live_calls v where v.call_id = l.call_id;
        perform end_attempt(l, at, 'cancelled', null, null);
        update call_tasks t set state = 'cancelled', attempt_count = attempt_count - 1, updated_at = at where t.id = l.task_id;
    end loop;
    update call_tasks set state = 'cancelled', ready = false, waiting = false, waiting_for = null, unsettled_since = null, updated_at = at
    where campaign_id = campaign and (ready or waiting);
end $$;

-- As in 0005, by that.
create or replace function settle_by_records(most integer) returns integer
language plpgsql as $$
declare
    f record;
    n integer := 0;
begin
    for f in
        select t.campaign_id, t.id, t.call_id, record_disposition(k.status, k.outcome, k.turn_count) as said, k.outcome
        from (select * from call_tasks where (state = 'unknown' or waiting_for = 'unknown')
                  and unsettled_since > dispatch_now() - interval '1 day'
              order by unsettled_since desc limit 1000) t
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

-- ---------------------------------------------------------------------------------------------------------------------- plans

-- Planning these statements anew at every call costs twice what running them does, and a plan made while the tables were small must not go on as a scan when they have
-- grown: every access here has its index. Nested loops only, so that rows are locked in the order in which the sets stand.
do $do$
declare
    f regprocedure;
begin
    foreach f in array array['claim_tasks(text[],uuid,uuid,uuid[],interval)', 'take_tasks(campaigns,text[],integer,uuid[],interval,timestamptz)',
                             'begin_dials(uuid[],bigint[],uuid[],interval)', 'finish_tasks(uuid[],bigint[],uuid[],text[],text[],text[])']::regprocedure[] loop
        execute format('alter function %s set plan_cache_mode = force_generic_plan', f);
        execute format('alter function %s set enable_seqscan = off', f);
        execute format('alter function %s set enable_bitmapscan = off', f);
        execute format('alter function %s set enable_hashjoin = off', f);
        execute format('alter function %s set enable_mergejoin = off', f);
    end loop;
end $do$;
