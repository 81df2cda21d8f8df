-- Answers about dispatch, by the functions that dispatch itself runs (0002: next_call_time; 0004: pace_campaign, settle_task; 0005: campaign_may_call, free_lines,
-- is_suppressed, has_attempts_left, is_person_busy, rule_for). Both only read.

-- The decisions about one task, in order, and in every row: the moment, the earliest moment at which the contact could be called (null: not by itself), and how
-- many ready ones come before it (null: it is not ready). No row: no such task.
create function explain_task(campaign uuid, task uuid, company uuid)
returns table (rule text, passed boolean, detail text, passes_at timestamptz, at timestamptz, earliest timestamptz, ahead integer)
language plpgsql stable as $$
#variable_conflict use_variable
declare
    c campaigns;
    p campaign_pacing;
    t call_tasks;
    pace record;
    opens timestamptz;
    free integer;
    is_running boolean;
    is_open boolean; -- the task
    suppressed boolean;
    has_attempts boolean;
    is_busy boolean;
    wait_until timestamptz;
begin
    select * into c from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    select * into t from call_tasks v where v.id = task and v.campaign_id = c.id;
    select * into p from campaign_pacing w where w.campaign_id = c.id;
    if t.id is null or p.campaign_id is null then
        return;
    end if;
    at := dispatch_now();
    is_running := campaign_may_call(c);
    is_open := t.ready or t.waiting;
    wait_until := case when t.waiting and t.ready_at > at then t.ready_at end;
    pace := pace_campaign(p, c.calls_per_minute, at);
    free := free_lines(c);
    suppressed := is_suppressed(t.company_id, t.phone_number);
    has_attempts := has_attempts_left(t, c);
    is_busy := is_person_busy(t);
    if is_running and is_open and not suppressed and has_attempts then
        earliest := greatest(at, wait_until, case when pace.allowed < 1 then at + pace.wait end, case when is_busy then at + interval '10 seconds' end);
        earliest := next_call_time(earliest, c, t.timezone);
    end if;
    if t.ready then
        select count(*) into ahead from (
            select from call_tasks v where v.campaign_id = c.id and v.ready and (v.priority > t.priority or v.priority = t.priority and v.id < t.id) limit 10000) v;
    end if;

    rule := 'campaign_state';
    passed := is_running;
    passes_at := null;
    detail := case when is_running then 'the campaign is running' when c.status = 'running' then 'the company is not active' else 'the campaign is ' || c.status end;
    return next;

    rule := 'task_state';
    passed := is_open and wait_until is null;
    passes_at := wait_until;
    detail := case when not is_open and t.state = 'in_progress' then 'a call is under way'
                   when not is_open and t.state = 'unknown' then 'the end of its call is unknown and has to be settled'
                   when not is_open then 'the task is ' || t.state
                   when wait_until is null then 'the task waits for a call'
                   when t.waiting_for = 'window' then 'put aside until the window opens'
                   when t.waiting_for = 'person_busy' then 'put aside because the person was on the phone'
                   when t.waiting_for = 'unknown' then 'waits before calling again: the end of its last call is unknown'
                   else 'waits before the next attempt' end;
    return next;

    rule := 'campaign_window';
    opens := next_call_time(at, c, null);
    passed := opens is not distinct from at;
    passes_at := case when not passed then opens end;
    detail := case when passed then 'the window is open' when at < c.start_time then 'start_time has not come' when at >= c.end_time then 'end_time has passed'
                   when opens is null then 'the window does not open again' else 'the window is closed' end;
    return next;

    rule := 'contact_window';
    opens := case when t.timezone is null then at
                  else window_opens(at, t.timezone, c.days_of_week, c.daily_start_time, c.daily_end_time) end;
    passed := opens is not distinct from at;
    passes_at := case when not passed then opens end;
    detail := case when t.timezone is null then 'the contact follows the campaign''s time zone'
                   else format('the window is %s in %s', case when passed then 'open' else 'closed' end, t.timezone) end;
    return next;

    rule := 'pacing';
    passed := pace.allowed >= 1;
    passes_at := case when not passed then at + pace.wait end;
    detail := format('%s %s may start now, of %s a minute', pace.allowed, case when pace.allowed = 1 then 'call' else 'calls' end, c.calls_per_minute);
    return next;

    rule := 'concurrency';
    passed := free >= 1;
    passes_at := null;
    detail := format('%s of %s calls under way', c.max_concurrent_calls - free, c.max_concurrent_calls);
    return next;

    rule := 'person_busy';
    passed := not is_busy;
    detail := case when is_busy then 'another campaign of the company is calling this number' else 'no other call of the company to this number' end;
    return next;

    rule := 'suppressed';
    passed := not suppressed;
    detail := case when suppressed then 'the number is on the company''s do-not-call list' else 'the number is not on the company''s do-not-call list' end;
    return next;

    rule := 'attempts';
    passed := has_attempts;
    detail := format('%s of %s attempts used', t.attempt_count, c.max_retries + 1);
    return next;
end $$;

-- One lot of contacts in a simulation: they share zone and attempts and may be called from `due` on. opens: cached answer of next_call_time, asked again from then on.
create type simulated_lot as (zone text, attempts smallint, due timestamptz, contacts bigint);

-- The moment at which the campaign's window has been open for `seconds` from `at` on; null: not before the horizon.
create function carry_on(c campaigns, at timestamptz, seconds double precision, horizon timestamptz) returns timestamptz
language plpgsql stable as $$
declare
    wall time;
    open_s double precision;
begin
    while at < horizon loop
        at := next_call_time(at, c, null);
        exit when at is null;
        wall := (at at time zone c.timezone)::time;
        open_s := extract(epoch from case when c.daily_start_time = c.daily_end_time then time '24:00' else c.daily_end_time end - wall);
        if open_s <= 0 then -- it closes after midnight
            open_s := open_s + 86400;
        end if;
        if seconds <= open_s then
            return case when at + make_interval(secs => seconds) <= horizon then at + make_interval(secs => seconds) end;
        end if;
        seconds := seconds - open_s;
        at := at + make_interval(secs => open_s);
    end loop;
    return null;
end $$;

-- What would happen if the campaign ran from `since` on with nothing else going on, assuming lengths of calls and a share that is answered (the others: no_answer).
--
-- It steps through virtual time and hands out whole lots: pace by pace_campaign() on a copy of the pacing row, lines from calls that end in virtual time, windows by
-- next_call_time(), what follows from an unanswered call by rule_for() and settle_task() on a specimen of the lot. A step is what the token bucket holds (5 seconds at 60
-- a minute and more), so no capacity is lost between steps; due times of retries are rounded up to a fiftieth of their delay, which keeps lots few. The cost is that
-- of the steps in which calls are made, not of contacts: about 0.2 ms each. A large list at a slow pace has many; when time_limit is over, the remaining calls are
-- carried on at the rate reached, through the campaign's windows (not each contact's), up to a year ahead, and `extrapolated` says so.
-- Of the campaign's contacts it counts open ones (ready or waiting). Calls go by age: who was called before has his next attempt, once it is due, before the rest of
-- the list is gone through; priorities are left out.
create function simulate_campaign(campaign uuid, company uuid, since timestamptz, call_s double precision, ring_s double precision, share double precision,
    time_limit interval, out start_at timestamptz, out finishes_at timestamptz, out contacts bigint, out suppressed bigint, out without_attempts bigint,
    out outside_window bigint, out calls bigint, out answered bigint, out exhausted bigint, out left_over bigint, out calls_per_hour double precision,
    out peak integer, out extrapolated boolean)
returns setof record
language plpgsql stable as $$
#variable_conflict use_variable
declare
    deadline timestamptz := clock_timestamp() + time_limit;
    horizon timestamptz;
    c campaigns;
    p campaign_pacing;
    pace record;
    r disposition_rules;
    specimen call_tasks;
    after_it call_tasks;
    lots simulated_lot[];
    lot simulated_lot;
    kept simulated_lot[];
    again simulated_lot[];
    ends timestamptz[] := '{}'; -- calls under way: when they end, how many; in no order
    ending integer[] := '{}';
    at timestamptz;
    opens timestamptz;
    next_at timestamptz;
    step interval;
    grain double precision;
    zone_opens jsonb;      -- of this step, by zone
    live integer := 0;
    room integer;
    n integer;
    reached integer;
    owed double precision := 0; -- answered calls that rounding has withheld
    taken integer;
    was_blocked boolean;
    busy interval := '0';  -- virtual time in which somebody could be called
    still bigint;
    expected double precision;
begin
    select * into c from campaigns k where k.id = campaign and k.company_id = coalesce(company, k.company_id);
    select * into p from campaign_pacing w where w.campaign_id = c.id;
    if p.campaign_id is null then
        return;
    end if;
    start_at := coalesce(since, dispatch_now());
    horizon := least(coalesce(c.end_time, 'infinity'), start_at + interval '1 year');
    calls := 0; answered := 0; exhausted := 0; left_over := 0; peak := 0; extrapolated := false; outside_window := 0;
    p.tokens := null;
    p.refilled_at := start_at;
    p.minute := array_fill(0, array[61]);
    p.minute_second := 0;
    r := rule_for(c, 'no_answer');
    step := make_interval(secs => greatest(0.25, least(30, greatest(5, ceil(c.calls_per_minute / 12.0)) * 60.0 / c.calls_per_minute, ring_s / 2, call_s / 2)));
    grain := greatest(extract(epoch from step), extract(epoch from coalesce(r.delay, make_interval(mins => c.retry_delay_minutes))) / 50);

    with judged as (
        select t.timezone, t.attempt_count, case when t.ready or t.ready_at <= start_at then start_at else
                   date_bin(make_interval(secs => grain), t.ready_at, start_at) + make_interval(secs => grain) end as due,
               s.hit is not null as on_list, has_attempts_left(t, c) as has_attempts
        from call_tasks t left join lateral (select true as hit where is_suppressed(t.company_id, t.phone_number)) s
            on exists (select from suppressions x where x.company_id = c.company_id) -- most companies' lists are asked for nothing
        where t.campaign_id = c.id and (t.ready or t.waiting)
    ), grouped as (
        select j.timezone, j.attempt_count, j.due, count(*) as n from judged j where not j.on_list and j.has_attempts group by 1, 2, 3
    )
    select (select count(*) from judged), (select count(*) from judged j where j.on_list), (select count(*) from judged j where not j.on_list and not j.has_attempts),
           (select array_agg(row (g.timezone, g.attempt_count, g.due, g.n)::simulated_lot order by g.attempt_count desc, g.due) from grouped g)
    into contacts, suppressed, without_attempts, lots;
    -- Zones whose windows never meet the campaign's.
    for lot in select distinct on (l.zone) l.* from unnest(lots) l loop
        if next_call_time(start_at, c, lot.zone) is null then
            select outside_window + sum(l.contacts) into outside_window from unnest(lots) l where l.zone is not distinct from lot.zone;
            select array_agg(l) into lots from unnest(lots) l where l.zone is distinct from lot.zone;
        end if;
    end loop;
    specimen.ready := false;
    specimen.waiting := false;
    specimen.carrier_errors := 0;

    at := start_at;
    while cardinality(lots) > 0 and at < horizon loop
        if clock_timestamp() > deadline then
            extrapolated := true;
            exit;
        end if;
        -- Calls that have ended.
        if live > 0 and exists (select from unnest(ends) e where e <= at) then
            select coalesce(array_agg(e), '{}'), coalesce(array_agg(m), '{}'), coalesce(sum(m), 0) into ends, ending, live
            from unnest(ends, ending) u (e, m) where e > at;
        end if;
        pace := pace_campaign(p, c.calls_per_minute, at);
        p := pace.p;
        room := least(pace.allowed, c.max_concurrent_calls - live);
        taken := 0;
        was_blocked := false;
        zone_opens := '{}';
        kept := '{}';
        again := '{}';
        next_at := 'infinity';
        foreach lot in array lots loop
            if lot.due > at then
                next_at := least(next_at, lot.due);
                kept := kept || lot;
                continue;
            end if;
            if not zone_opens ? coalesce(lot.zone, '') then
                zone_opens := zone_opens || jsonb_build_object(coalesce(lot.zone, ''), next_call_time(at, c, lot.zone));
            end if;
            opens := (zone_opens ->> coalesce(lot.zone, ''))::timestamptz;
            if opens is distinct from at then
                if opens is null then -- no more before end_time
                    left_over := left_over + lot.contacts;
                else
                    lot.due := opens;
                    next_at := least(next_at, opens);
                    kept := kept || lot;
                end if;
                continue;
            end if;
            n := least(lot.contacts, room - taken);
            if n > 0 then
                taken := taken + n;
                owed := owed + n * share;
                reached := floor(owed + 1e-9);
                reached := least(reached, n);
                owed := owed - reached;
                answered := answered + reached;
                if reached > 0 then
                    ends := ends || (at + make_interval(secs => call_s));
                    ending := ending || reached;
                end if;
                if n > reached then
                    ends := ends || (at + make_interval(secs => ring_s));
                    ending := ending || (n - reached);
                    specimen.attempt_count := lot.attempts + 1;
                    specimen.timezone := lot.zone;
                    after_it := settle_task(specimen, c, r, null, at, at + make_interval(secs => ring_s));
                    if after_it.waiting then
                        again := again || row (lot.zone, after_it.attempt_count,
                            date_bin(make_interval(secs => grain), after_it.ready_at - interval '1 microsecond', start_at) + make_interval(secs => grain),
                            n - reached)::simulated_lot;
                    else
                        exhausted := exhausted + n - reached;
                    end if;
                end if;
                lot.contacts := lot.contacts - n;
            end if;
            if lot.contacts > 0 then
                was_blocked := true;
                kept := kept || lot;
            end if;
        end loop;
        lots := kept;
        if cardinality(again) > 0 then
            -- Those that are alike become one lot.
            select array_agg(row (l.zone, l.attempts, l.due, l.n)::simulated_lot order by l.attempts desc, l.due) into lots
            from (select k.zone, k.attempts, k.due, sum(k.contacts)::bigint as n from unnest(kept || again) k group by 1, 2, 3) l;
            next_at := least(next_at, (select min(k.due) from unnest(again) k));
        end if;
        p.tokens := p.tokens - taken;
        p.minute[p.minute_second % 61 + 1] := p.minute[p.minute_second % 61 + 1] + taken;
        calls := calls + taken;
        live := live + taken;
        peak := greatest(peak, live);
        if was_blocked then -- by pace or lines: they are looked at again soon
            next_at := least(next_at, at + step);
        end if;
        exit when next_at = 'infinity';
        if taken > 0 or was_blocked then
            busy := busy + least(next_at - at, step);
        end if;
        at := greatest(next_at, at + interval '1 microsecond');
    end loop;

    select coalesce(sum(l.contacts), 0) into still from unnest(lots) l;
    calls_per_hour := case when calls > 0 then calls / greatest(extract(epoch from busy) / 3600, 1e-9) else 0 end;
    if extrapolated and calls > 0 then
        -- Calls that are still to be made: 1 + q + q² … for each contact, q the share that is not answered, as many terms as attempts are left.
        select sum(l.contacts * case when share = 0 then m else (1 - (1 - share) ^ m) / share end) into expected
        from unnest(lots) l, lateral (select case when r.next = 'retry' then greatest(1, attempt_limit(c, 'no_answer') - l.attempts) else 1 end as m) a;
        finishes_at := carry_on(c, at, expected / calls_per_hour * 3600, horizon);
        if finishes_at is null then
            left_over := left_over + still;
        else
            calls := calls + round(expected);
            answered := answered + round(expected * share);
            exhausted := exhausted + greatest(0, still - round(expected * share));
        end if;
    else
        left_over := left_over + still;
        finishes_at := case when calls > 0 then greatest(at, (select max(e) from unnest(ends) e)) end;
    end if;
    return next;
end $$;
