-- Dispatch: claiming, leases, the end of a call, and the upkeep. Tables, counters, windows and states are in 0002, with the order of locks.
--
-- Every function runs READ COMMITTED: what it reads after it has waited for a lock is read in a statement of its own, whose snapshot is younger than the lock.
-- Verdicts are words, not exceptions: services/campaign/handlers turns each into a status and a sentence.

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

create type task_verdict as (task_id uuid, obstacle text, until timestamptz);

-- Takes up to `wanted` tasks of a campaign whose pacing row the caller has locked: live call, attempt and task are written together. Who cannot be called now is
-- put aside until the next moment at which he could be, with the reason. How many it took.
create function take_tasks(c campaigns, worker text, wanted integer, call_ids uuid[], lease interval, at timestamptz) returns integer
language plpgsql as $$
declare
    batch uuid[];
    aside task_verdict[];
    chosen_ids uuid[];
    inserted integer;
begin
    -- Whoever's time has come is ready again.
    if exists (select from call_tasks where campaign_id = c.id and waiting and ready_at <= at) then
        update call_tasks t set ready = true, waiting = false, waiting_for = null
        from (select id from call_tasks where campaign_id = c.id and waiting and ready_at <= at order by ready_at limit 500 for update skip locked) due
        where t.id = due.id;
    end if;
    for round in 1 .. 10 loop
        select array_agg(b.id order by b.priority desc, b.id) into batch from (
            select id, priority from call_tasks where campaign_id = c.id and ready
            -- After a round of people who cannot be called, look further at once.
            order by priority desc, id limit case when round = 1 then wanted else greatest(wanted, 100) end for update skip locked) b;
        exit when batch is null;
        -- Who cannot be called now is put aside, until then or for good.
        with zones as materialized (
            select d.timezone, next_call_time(at, c, d.timezone) as opens
            from (select distinct timezone from call_tasks where id = any (batch) and timezone is not null) d
        )
        select array_agg(row (t.id, o.obstacle, o.until)::task_verdict) into aside
        from call_tasks t left join zones z using (timezone)
            cross join lateral task_obstacle(t, c, at, case when t.timezone is null then at else z.opens end) o
        where t.id = any (batch) and o.obstacle is not null;
        if aside is not null then
            update call_tasks t set ready = false, waiting = v.until is not null, waiting_for = case when v.until is not null then v.obstacle end,
                ready_at = coalesce(v.until, t.ready_at), updated_at = case when v.until is null then at else t.updated_at end,
                state = case v.obstacle when 'suppressed' then 'suppressed' when 'attempts' then 'failed' else t.state end
            from unnest(aside) v where t.id = v.task_id;
            select array_agg(b.id order by b.position) into batch
            from unnest(batch) with ordinality b (id, position) where not exists (select from unnest(aside) v where v.task_id = b.id);
        end if;
        chosen_ids := batch[: wanted];
        continue when chosen_ids is null;
        with chosen as (
            select t.id, t.phone_number, t.fence + 1 as fence,
                   call_ids[row_number() over (order by t.priority desc, t.id)] as call_id
            from call_tasks t where t.id = any (chosen_ids)
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
        -- Taken by another campaign at this very moment: on the phone as well.
        if inserted < cardinality(chosen_ids) then
            update call_tasks set ready = false, waiting = true, waiting_for = 'person_busy', ready_at = at + interval '10 seconds'
            where id = any (chosen_ids) and ready;
        end if;
        -- Fewer than wanted will do: persons locked in two runs would not be locked in order.
        exit when inserted > 0;
    end loop;
    return coalesce(inserted, 0);
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
        n := least(wanted, pace.allowed, free_lines(c));
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

-- Leave to dial. verdict: ok, not_found, stale, finished, not_running (status: where the campaign stands), window_closed, suppressed (the task has ended so).
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
    select * into c from campaigns k where k.id = l.campaign_id for share;
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
            delete from live_calls v where v.call_id = call and v.fence = with_fence and v.dialed_at is null;
            verdict := case when found then 'suppressed' else 'stale' end;
            if found then
                update call_attempts v set ended_at = at, ended_how = 'suppressed' where v.call_id = call;
                update call_tasks t set state = 'suppressed', attempt_count = t.attempt_count - 1, updated_at = at where t.id = l.task_id;
            end if;
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

-- What a disposition makes of task t: its new row. r: rule_for(). Pure: the rules of the table and of dispatch.md.
create function settle_task(t call_tasks, c campaigns, r disposition_rules, said_outcome text, dialed_at timestamptz, at timestamptz) returns call_tasks
language plpgsql as $$
declare
    retry_at timestamptz;
begin
    t.state := r.next;
    if r.next = 'retry' and r.own_limit is null then
        retry_at := at + coalesce(r.delay, make_interval(mins => c.retry_delay_minutes));
        if t.attempt_count >= attempt_limit(c, r.disposition) then
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
    if not exists (select from disposition_rules d where d.disposition = said) then
        verdict := 'bad_disposition';
        return;
    end if;
    -- Only near the campaign's end is its lock worth taking: the last one to finish must see that all others have. (complete_campaigns, run each
    -- second, would find a campaign that this misses.) Else share the campaign, so that a cancel comes wholly before or after.
    may_be_last := is_near_end(a.campaign_id, near_end);
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
    -- Unknown so far, and neither settled nor called again since: a late word is welcome.
    if l.call_id is null and (a.ended_how is distinct from 'unknown' or t.call_id <> call
                              or t.state <> 'unknown' and t.waiting_for is distinct from 'unknown') then
        verdict := 'stale';
        return;
    end if;
    r := rule_for(c, said);
    t := end_call(t, c, r, said_outcome, call, a.dialed_at, at);
    state := t.state;
    next_attempt_at := case when t.waiting then t.ready_at end;
    delete from live_calls v where v.call_id = call;
    update call_attempts v set ended_at = at, ended_how = 'finished', disposition = said, outcome = said_outcome, error_message = said_error,
        fault = r.fault, result_state = t.state, result_ready_at = finish_task.next_attempt_at,
        settled_by = case when a.ended_how = 'unknown' then 'agent' end
    where v.call_id = call;
    if may_be_last then
        perform complete_if_done(a.campaign_id);
    end if;
    verdict := 'ok';
end $$;

-- Settles calls whose lease has passed, at most `most` of each campaign. Claimed: ready again, the attempt refunded (nothing was dialed: BeginDial would have been
-- refused). Dialing: unknown, to be settled by the call's record, the agent or a person; or, where the campaign says so and attempts are left, called again after
-- the retry delay (meanwhile it is settled likewise). Never redialed silently. A campaign whose row is locked has its turn next time.
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
        ), known as (
            select gone.*, gone.dialed_at is not null and c.on_unknown = 'retry' and c.status <> 'cancelled' and has_attempts_left(t, c) as again,
                   at + make_interval(mins => c.retry_delay_minutes) as retry_at, t.timezone, c.status as campaign_status, c
            from gone join call_tasks t on t.id = gone.task_id join campaigns c on c.id = campaign
        ), noted as (
            update call_attempts a set ended_at = at, ended_how = case when k.dialed_at is null then 'expired' else 'unknown' end,
                fault = 'platform', settled_by = case when k.again then 'policy' end
            from known k where a.call_id = k.call_id
        ), settled as (
            update call_tasks t set
                state = case when k.again then 'retry' when k.dialed_at is not null then 'unknown' when k.campaign_status = 'cancelled' then 'cancelled'
                             when t.attempt_count + t.carrier_errors > 1 then 'retry' else 'pending' end,
                ready = k.dialed_at is null and k.campaign_status <> 'cancelled',
                waiting = k.again,
                waiting_for = case when k.again then 'unknown' end,
                ready_at = case when k.again then coalesce(next_call_time(k.retry_at, k.c, k.timezone), k.retry_at) else at end,
                attempt_count = t.attempt_count - case when k.dialed_at is null then 1 else 0 end,
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

-- The way of a claim. Planning its statements anew at every call costs twice what running them does, and a plan made while the tables were small must not go on as
-- a scan when they have grown: every access here has its index.
alter function claim_tasks(text, integer, uuid, uuid, uuid[], interval) set plan_cache_mode = force_generic_plan;
alter function claim_tasks(text, integer, uuid, uuid, uuid[], interval) set enable_seqscan = off;
alter function take_tasks(campaigns, text, integer, uuid[], interval, timestamptz) set plan_cache_mode = force_generic_plan;
alter function take_tasks(campaigns, text, integer, uuid[], interval, timestamptz) set enable_seqscan = off;
alter function take_tasks(campaigns, text, integer, uuid[], interval, timestamptz) set enable_bitmapscan = off;
