-- What a deleted company or campaign owned goes in steps; live figures out of sums; the words for outcomes are bounded; the recount goes by days.

-- ---- Companies that are deleted -----------------------------------------------------------------------------------------------------------
-- The row of a company goes at once, with all that is small. Its calls and figures may be millions: they stay behind, named here, are left out wherever
-- anything is read (the views named present_…), and analytics removes them in steps (remove_deleted_calls). What is kept per hour and day of all companies
-- together still has them in it until then: the views take them off, by what is kept of the company itself, so the figures are exact at every moment.

CREATE TABLE deleted_companies (
    company_id uuid        NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    calls      bigint      NOT NULL, -- that it had
    removed    bigint      NOT NULL DEFAULT 0,
    reached    timestamptz NOT NULL DEFAULT '-infinity', -- no call of it that is left began before
    CONSTRAINT deleted_companies_pkey PRIMARY KEY (company_id)
);

-- Without it a company's deletion would delete its calls. report_call_batches() holds the company's row while it stores a call's start, which says the same.
ALTER TABLE calls DROP CONSTRAINT calls_company_id_fkey;

CREATE VIEW present_calls WITH (security_invoker = true) AS
SELECT * FROM calls WHERE company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d));

CREATE VIEW present_figures WITH (security_invoker = true) AS
SELECT * FROM call_figures WHERE company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d));

CREATE VIEW present_changes WITH (security_invoker = true) AS
SELECT * FROM call_figure_changes WHERE company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d));

CREATE VIEW present_sums WITH (security_invoker = true) AS
SELECT kind, subject, minutes, bucket, status, outcome, company_id, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm,
       cost_tts, cost_livekit
FROM call_figure_sums WHERE company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d))
UNION ALL
SELECT 0::smallint, '00000000-0000-0000-0000-000000000000'::uuid, minutes, bucket, status, outcome, '00000000-0000-0000-0000-000000000000'::uuid, -calls, -measured,
       -duration_ms, -turns, -eou_calls, -eou_sum, -interruption_sum, -cost_stt, -cost_llm, -cost_tts, -cost_livekit
FROM call_figure_sums WHERE kind = 1 AND subject = ANY (ARRAY(SELECT d.company_id FROM deleted_companies d));

CREATE VIEW present_latencies WITH (security_invoker = true) AS
SELECT kind, subject, day, status, outcome, company_id, slots, counts
FROM call_latencies WHERE company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d))
UNION ALL
SELECT 0::smallint, '00000000-0000-0000-0000-000000000000'::uuid, day, status, outcome, '00000000-0000-0000-0000-000000000000'::uuid, slots,
       ARRAY(SELECT -c FROM unnest(counts) WITH ORDINALITY AS u(c, i) ORDER BY i)
FROM call_latencies WHERE kind = 1 AND subject = ANY (ARRAY(SELECT d.company_id FROM deleted_companies d));

-- One row a call, as it counts: the definition of the figures, of the calls that began in [p_from, p_until). Is inlined; the planner would not by itself conclude
-- from the call's time that its metrics lie in the same months.
CREATE FUNCTION counted_calls_between(p_from timestamptz, p_until timestamptz)
RETURNS TABLE (id uuid, started_at timestamptz, quarter timestamptz, company_id uuid, campaign_id uuid, skillbase_id uuid, skillbase_version integer, status smallint,
               outcome text, measured integer, duration_ms bigint, turns integer, avg_eou_latency double precision, interruption_rate double precision,
               cost_stt bigint, cost_llm bigint, cost_tts bigint, cost_livekit bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000000 AS $$
    SELECT c.id, c.started_at, quarter_of(c.started_at), c.company_id, coalesce(c.campaign_id, '00000000-0000-0000-0000-000000000000'),
           coalesce(c.skillbase_id, '00000000-0000-0000-0000-000000000000'), coalesce(c.skillbase_version, 0),
           c.status, coalesce(c.outcome, ''), (m.call_id IS NOT NULL)::integer,
           CASE WHEN c.ended_at IS NULL THEN 0 ELSE trunc(extract(epoch FROM c.ended_at - c.started_at) * 1000)::bigint END,
           CASE WHEN c.ended_at IS NULL THEN 0 ELSE c.turn_count END, m.avg_eou_latency, coalesce(m.interruption_rate, 0),
           coalesce(m.cost_stt, 0), coalesce(m.cost_llm, 0), coalesce(m.cost_tts, 0), coalesce(m.cost_livekit, 0)
    FROM (SELECT * FROM present_calls p WHERE p.started_at >= p_from AND p.started_at < p_until) c
    LEFT JOIN (SELECT * FROM call_metrics n WHERE n.started_at >= p_from AND n.started_at < p_until) m ON m.call_id = c.id AND m.started_at = c.started_at
$$;

CREATE OR REPLACE VIEW counted_calls AS SELECT * FROM counted_calls_between('-infinity', 'infinity');

-- Runs in the transaction that deletes the company, whose row lock reports with a call's start wait for.
CREATE OR REPLACE FUNCTION forget_deleted_company() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_companies (company_id, calls)
    SELECT OLD.id, coalesce((SELECT sum(n) FROM (
               SELECT f.calls AS n FROM call_figure_sums f
               WHERE f.kind = 1 AND f.subject = OLD.id AND f.minutes = 1440 AND f.bucket >= (SELECT calls_kept_since FROM call_storage)
               UNION ALL SELECT f.calls FROM call_figure_changes f WHERE f.company_id = OLD.id) parts), 0)
    WHERE EXISTS (SELECT FROM calls c WHERE c.company_id = OLD.id) OR EXISTS (SELECT FROM call_figures f WHERE f.company_id = OLD.id)
       OR EXISTS (SELECT FROM call_figure_changes f WHERE f.company_id = OLD.id)
    ON CONFLICT (company_id) DO NOTHING;
    RETURN NULL;
END $$;

-- As in 0009, but by index, one call after the other, whatever the planner thinks of the table of those that are gone.
CREATE OR REPLACE FUNCTION forget_deleted_calls() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    DELETE FROM call_events e USING gone g WHERE e.call_id = g.id AND e.started_at = g.started_at;
    DELETE FROM call_metrics m USING gone g WHERE m.call_id = g.id AND m.started_at = g.started_at;
    DELETE FROM call_index i USING gone g WHERE i.call_id = g.id;
    RETURN NULL;
END $$;

-- Who may report to which calls, without those of deleted companies: a call of one is as unknown as another company's.
CREATE FUNCTION present_scopes(p_scopes uuid[], p_calls uuid[]) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM deleted_companies) THEN
        RETURN p_scopes;
    END IF;
    RETURN ARRAY(
        SELECT CASE WHEN d.company_id IS NULL THEN u.scope ELSE '00000000-0000-0000-0000-000000000000' END
        FROM unnest(p_scopes, p_calls) WITH ORDINALITY AS u(scope, call, i)
        LEFT JOIN call_index x ON x.call_id = u.call LEFT JOIN deleted_companies d ON d.company_id = x.company_id
        ORDER BY u.i);
END $$;

-- The figures of one UTC day of a deleted company, taken out of all sums. The caller holds the lock of folding, and no change of the company waits to be folded.
CREATE FUNCTION remove_figures_of_day(p_company uuid, p_day timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_campaigns uuid[];
    v_skillbases uuid[];
    v_quarters timestamptz[];
BEGIN
    WITH gone AS (
        DELETE FROM call_figures f WHERE f.company_id = p_company AND f.quarter >= p_day AND f.quarter < p_day + interval '24 hours'
        RETURNING f.campaign_id, f.skillbase_id, f.quarter
    )
    SELECT array_agg(campaign_id), array_agg(skillbase_id), array_agg(quarter) INTO v_campaigns, v_skillbases, v_quarters
    FROM (SELECT DISTINCT g.campaign_id, g.skillbase_id, g.quarter FROM gone g) g;
    -- Campaigns and skillbases are of one company, so theirs go as they are.
    DELETE FROM call_figure_sums f
    USING (SELECT DISTINCT b.kind, b.subject, b.minutes, b.bucket
           FROM unnest(v_campaigns, v_skillbases, v_quarters) AS r(campaign_id, skillbase_id, quarter)
           CROSS JOIN LATERAL buckets_of(p_company, r.campaign_id, r.skillbase_id, r.quarter) b WHERE b.kind > 1) b
    WHERE f.kind = b.kind AND f.subject = b.subject AND f.minutes = b.minutes AND f.bucket = b.bucket;
    DELETE FROM call_latencies f
    USING (SELECT DISTINCT s.kind, s.subject FROM unnest(v_campaigns, v_skillbases) AS r(campaign_id, skillbase_id)
           CROSS JOIN LATERAL subjects_of(p_company, r.campaign_id, r.skillbase_id) s WHERE s.kind > 1) s
    WHERE f.kind = s.kind AND f.subject = s.subject AND f.day = p_day;
    WITH gone AS (
        DELETE FROM call_figure_sums f
        WHERE f.kind = 1 AND f.subject = p_company AND f.minutes IN (15, 60, 1440) AND f.bucket >= p_day AND f.bucket < p_day + interval '24 hours'
        RETURNING f.*
    )
    UPDATE call_figure_sums f
    SET calls = f.calls - g.calls, measured = f.measured - g.measured, duration_ms = f.duration_ms - g.duration_ms, turns = f.turns - g.turns,
        eou_calls = f.eou_calls - g.eou_calls, eou_sum = f.eou_sum - g.eou_sum, interruption_sum = f.interruption_sum - g.interruption_sum,
        cost_stt = f.cost_stt - g.cost_stt, cost_llm = f.cost_llm - g.cost_llm, cost_tts = f.cost_tts - g.cost_tts, cost_livekit = f.cost_livekit - g.cost_livekit
    FROM gone g
    WHERE f.kind = 0 AND f.subject = '00000000-0000-0000-0000-000000000000' AND f.minutes = g.minutes AND f.bucket = g.bucket AND f.status = g.status AND f.outcome = g.outcome;
    WITH gone AS (
        DELETE FROM call_latencies f WHERE f.kind = 1 AND f.subject = p_company AND f.day = p_day RETURNING f.*
    )
    UPDATE call_latencies f
    SET (slots, counts) = (SELECT coalesce(array_agg(slot), '{}'), coalesce(array_agg(n), '{}')
                           FROM add_slots(f.slots, f.counts, g.slots, ARRAY(SELECT -c FROM unnest(g.counts) WITH ORDINALITY AS u(c, i) ORDER BY i)))
    FROM gone g
    WHERE f.kind = 0 AND f.subject = '00000000-0000-0000-0000-000000000000' AND f.day = g.day AND f.status = g.status AND f.outcome = g.outcome;
END $$;

-- One step of removing what deleted companies left behind: at most p_most calls with all that is theirs, or else a day of figures. Breaking off loses nothing.
-- gone_calls: that went; gone_companies: of which nothing is left; more: come again (not when another process is at it).
-- First the calls: a report that was under way when the company was deleted holds its call's row, so with the last of them the last change of figures is there.
CREATE FUNCTION remove_deleted_calls(p_most integer, OUT gone_calls bigint, OUT gone_companies bigint, OUT more boolean)
LANGUAGE plpgsql SET timezone = 'UTC' SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_company uuid;
    v_reached timestamptz;
    v_day timestamptz;
    v_ids uuid[];
    v_times timestamptz[];
BEGIN
    gone_calls := 0;
    gone_companies := 0;
    more := false;
    IF NOT EXISTS (SELECT FROM deleted_companies) OR NOT pg_try_advisory_xact_lock(7203, 3) THEN
        RETURN;
    END IF;
    SELECT d.company_id, d.reached INTO v_company, v_reached FROM deleted_companies d ORDER BY d.deleted_at, d.company_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(c.id), array_agg(c.started_at), max(c.started_at) INTO v_ids, v_times, v_reached
    FROM (SELECT c.id, c.started_at FROM calls c WHERE c.company_id = v_company AND c.started_at >= v_reached ORDER BY c.started_at, c.id LIMIT p_most) c;
    more := true;
    IF v_ids IS NOT NULL THEN
        -- In the order in which reports take them.
        PERFORM FROM calls c JOIN unnest(v_ids, v_times) AS u(id, at) ON c.id = u.id AND c.started_at = u.at
        WHERE c.started_at BETWEEN v_times[1] AND v_reached ORDER BY c.id FOR UPDATE OF c;
        DELETE FROM calls c USING unnest(v_ids, v_times) AS u(id, at) WHERE c.id = u.id AND c.started_at = u.at AND c.started_at BETWEEN v_times[1] AND v_reached;
        GET DIAGNOSTICS gone_calls = ROW_COUNT;
        UPDATE deleted_companies d SET removed = d.removed + gone_calls, reached = v_reached WHERE d.company_id = v_company;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM call_figure_changes f WHERE f.company_id = v_company) OR NOT pg_try_advisory_xact_lock(7203, 2) THEN
        RETURN; -- after the next fold
    END IF;
    SELECT date_trunc('day', min(f.quarter), 'UTC') INTO v_day FROM call_figures f WHERE f.company_id = v_company;
    IF v_day IS NOT NULL THEN
        PERFORM remove_figures_of_day(v_company, v_day);
        RETURN;
    END IF;
    DELETE FROM call_figure_sums f WHERE f.kind = 1 AND f.subject = v_company; -- rows that counted nothing
    DELETE FROM call_latencies f WHERE f.kind = 1 AND f.subject = v_company;
    DELETE FROM deleted_companies d WHERE d.company_id = v_company;
    gone_companies := 1;
    more := EXISTS (SELECT FROM deleted_companies);
END $$;

-- ---- Campaigns that are deleted -----------------------------------------------------------------------------------------------------------
-- Their tasks, with contacts and attempts, likewise: nothing reads a task but through its campaign. The campaign service removes them.

CREATE TABLE deleted_campaigns (
    campaign_id uuid        NOT NULL,
    company_id  uuid        NOT NULL,
    deleted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT deleted_campaigns_pkey PRIMARY KEY (campaign_id)
);

-- As in 0007, without the attempts.
CREATE OR REPLACE FUNCTION forget_calls() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM campaign_pacing p WHERE p.campaign_id = OLD.id FOR UPDATE;
    PERFORM pg_advisory_xact_lock(campaign_key(OLD.id));
    DELETE FROM live_calls l WHERE l.campaign_id = OLD.id;
    RETURN OLD;
END $$;

-- As in 0008, but tasks and the counts of them stay for a while.
CREATE OR REPLACE FUNCTION forget_counts() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM call_tasks t WHERE t.campaign_id = OLD.id) THEN
        INSERT INTO deleted_campaigns (campaign_id, company_id) VALUES (OLD.id, OLD.company_id);
    ELSE
        DELETE FROM campaign_counts c WHERE c.campaign_id = OLD.id;
        DELETE FROM campaign_count_changes c WHERE c.campaign_id = OLD.id;
    END IF;
    RETURN NULL;
END $$;

-- One step: at most p_most tasks of one deleted campaign. tasks: that went; more: come again.
CREATE FUNCTION remove_deleted_tasks(p_most integer, OUT tasks bigint, OUT more boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_campaign uuid;
    v_ids uuid[];
BEGIN
    tasks := 0;
    more := false;
    SELECT d.campaign_id INTO v_campaign FROM deleted_campaigns d ORDER BY d.deleted_at, d.campaign_id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_ids := ARRAY(SELECT t.id FROM call_tasks t WHERE t.campaign_id = v_campaign LIMIT p_most);
    DELETE FROM call_attempts a WHERE a.task_id = ANY (v_ids);
    DELETE FROM call_tasks t WHERE t.id = ANY (v_ids);
    GET DIAGNOSTICS tasks = ROW_COUNT;
    IF cardinality(v_ids) < p_most THEN
        DELETE FROM campaign_counts c WHERE c.campaign_id = v_campaign;
        DELETE FROM campaign_count_changes c WHERE c.campaign_id = v_campaign;
        DELETE FROM deleted_campaigns d WHERE d.campaign_id = v_campaign;
    END IF;
    more := EXISTS (SELECT FROM deleted_campaigns);
END $$;

-- As in 0007; new: a call whose campaign has been deleted is not found, although its attempt may still be there.
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
    if c.id is null then
        verdict := 'not_found';
        return;
    end if;
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

-- ---- Words for outcomes -------------------------------------------------------------------------------------------------------------------
-- Sums are kept by outcome, and agents choose the words. A company has so many words of its own beside those of the contract; a call that ends with a further
-- one counts, is listed and is found as `other`. What the agent said stays in the call's events and its metrics.

CREATE TABLE company_outcomes (
    company_id uuid        NOT NULL,
    outcome    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT company_outcomes_pkey PRIMARY KEY (company_id, outcome),
    CONSTRAINT company_outcomes_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE
);
INSERT INTO company_outcomes (company_id, outcome)
SELECT DISTINCT f.company_id, f.outcome FROM call_figures f JOIN companies c ON c.id = f.company_id
WHERE f.outcome NOT IN ('', 'success', 'fail', 'voicemail', 'no_answer', 'busy', 'unknown', 'other');

-- The outcomes of a group of reports as they count. New words are taken in up to p_most of a company, one transaction after the other.
CREATE FUNCTION admit_outcomes(p_scopes uuid[], p_calls uuid[], p_companies uuid[], p_outcomes text[], p_most integer) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_known CONSTANT text[] := '{success, fail, voicemail, no_answer, busy, unknown, other}';
    v_owners uuid[];
    v_row record;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(p_outcomes) o WHERE o <> ALL (v_known)) THEN
        RETURN p_outcomes;
    END IF;
    -- Whose each call is, if it may be reported at all: nobody uses up another company's words.
    SELECT array_agg(CASE WHEN u.scope IS NULL OR u.scope = o.owner THEN o.owner END ORDER BY u.i) INTO v_owners
    FROM unnest(p_scopes, p_calls, p_companies) WITH ORDINALITY AS u(scope, call, company, i)
    CROSS JOIN LATERAL (SELECT coalesce((SELECT x.company_id FROM call_index x WHERE x.call_id = u.call), u.company) AS owner) o;
    FOR v_row IN
        SELECT DISTINCT u.owner, u.outcome FROM unnest(v_owners, p_outcomes) AS u(owner, outcome)
        WHERE u.owner IS NOT NULL AND u.outcome <> ALL (v_known)
          AND NOT EXISTS (SELECT FROM company_outcomes k WHERE k.company_id = u.owner AND k.outcome = u.outcome)
        ORDER BY u.owner, u.outcome
    LOOP
        CONTINUE WHEN (SELECT count(*) FROM company_outcomes k WHERE k.company_id = v_row.owner) >= p_most;
        PERFORM pg_advisory_xact_lock(7204, hashtext(v_row.owner::text));
        INSERT INTO company_outcomes (company_id, outcome)
        SELECT c.id, v_row.outcome FROM companies c
        WHERE c.id = v_row.owner AND (SELECT count(*) FROM company_outcomes k WHERE k.company_id = c.id) < p_most
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN ARRAY(
        SELECT CASE WHEN u.outcome IS NULL OR u.owner IS NULL OR u.outcome = ANY (v_known)
                      OR EXISTS (SELECT FROM company_outcomes k WHERE k.company_id = u.owner AND k.outcome = u.outcome) THEN u.outcome ELSE 'other' END
        FROM unnest(v_owners, p_outcomes) WITH ORDINALITY AS u(owner, outcome, i) ORDER BY u.i);
END $$;

-- ---- Recounting ---------------------------------------------------------------------------------------------------------------------------
-- Is now a statement of the service for one stretch of time (verify_call_figures.sql): all that is compared lies within UTC days, and a statement of its own
-- can be planned for its stretch and run by several workers.
DROP FUNCTION verify_call_figures;
ALTER FUNCTION add_slots PARALLEL SAFE;
ALTER FUNCTION figures_differ PARALLEL SAFE;
-- Rows come in order of time, nearly: enough for finding those of a stretch.
CREATE INDEX call_figure_sums_bucket_brin ON call_figure_sums USING brin (bucket) WITH (autosummarize = on);
CREATE INDEX call_latencies_day_brin ON call_latencies USING brin (day) WITH (autosummarize = on);
