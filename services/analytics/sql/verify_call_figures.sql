-- $1 and $2 the stretch of time [from, until), whole UTC days (NULL: without end), $3 most differences
-- Recounts the calls that began then and says what differs from what is kept; no row: all is well. One statement, so one snapshot: right while reports come
-- in. Three comparisons: calls with call_figures and its changes; call_figures with the sums; its histograms with those of days. Of the sums only the finest
-- are recounted from call_figures, each coarser one from those below it that are kept: when no step differs, none of all does. Sums of doubles may differ in
-- their last digits, for they depend on the order. What deleted companies left behind is no longer counted, but still in the sums of what is kept.
WITH bounds AS MATERIALIZED (
    SELECT coalesce($1::timestamptz, '-infinity') AS begins, coalesce($2::timestamptz, 'infinity') AS ends
), kept_rows AS MATERIALIZED (
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum,
           interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit, slots, counts
    FROM (SELECT * FROM present_figures UNION ALL SELECT * FROM present_changes) f
    WHERE quarter >= greatest((SELECT begins FROM bounds), (SELECT calls_kept_since FROM call_storage)) AND quarter < (SELECT ends FROM bounds)
), kept AS (
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, sum(calls) AS calls, sum(measured) AS measured,
           sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls, sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum,
           sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM kept_rows GROUP BY 1, 2, 3, 4, 5, 6, 7
), kept_slots AS (
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, u.slot, sum(u.n) AS n
    FROM kept_rows f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(u.n) <> 0
), counted_slots AS MATERIALIZED (
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, latency_slot(avg_eou_latency) AS slot, count(*) AS n,
           sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, count(avg_eou_latency) AS eou_calls,
           coalesce(sum(avg_eou_latency), 0) AS eou_sum, sum(interruption_rate) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm,
           sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM counted_calls_between(coalesce($1::timestamptz, '-infinity'), coalesce($2::timestamptz, 'infinity'))
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), counted AS (
    SELECT quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, sum(n) AS calls, sum(measured) AS measured,
           sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls, sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum,
           sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM counted_slots GROUP BY 1, 2, 3, 4, 5, 6, 7
), folded AS MATERIALIZED (
    SELECT * FROM call_figures WHERE quarter >= (SELECT begins FROM bounds) AND quarter < (SELECT ends FROM bounds)
), kept_sums AS MATERIALIZED (
    SELECT * FROM call_figure_sums WHERE bucket >= (SELECT begins FROM bounds) AND bucket < (SELECT ends FROM bounds)
), summed AS (
    SELECT 1::smallint AS kind, company_id AS subject, 15::smallint AS minutes, quarter AS bucket, status, outcome, company_id,
           sum(calls) AS calls, sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls,
           sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM folded GROUP BY company_id, quarter, status, outcome
    UNION ALL
    SELECT 0::smallint, '00000000-0000-0000-0000-000000000000', 15::smallint, bucket, status, outcome, '00000000-0000-0000-0000-000000000000',
           sum(calls) AS calls, sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls,
           sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM kept_sums WHERE kind = 1 AND minutes = 15 GROUP BY bucket, status, outcome
    UNION ALL
    SELECT kind, subject, 60::smallint, date_bin('1 hour', bucket, '2000-01-01 00:00:00+00'), status, outcome, company_id,
           sum(calls) AS calls, sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls,
           sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM kept_sums WHERE kind <= 1 AND minutes = 15 GROUP BY 1, 2, 4, 5, 6, 7
    UNION ALL
    SELECT s.kind, s.subject, 60::smallint, f.hour, f.status, f.outcome, s.owner,
           sum(f.calls) AS calls, sum(f.measured) AS measured, sum(f.duration_ms) AS duration_ms, sum(f.turns) AS turns, sum(f.eou_calls) AS eou_calls,
           sum(f.eou_sum) AS eou_sum, sum(f.interruption_sum) AS interruption_sum, sum(f.cost_stt) AS cost_stt, sum(f.cost_llm) AS cost_llm, sum(f.cost_tts) AS cost_tts, sum(f.cost_livekit) AS cost_livekit
    FROM (SELECT company_id, campaign_id, skillbase_id, date_bin('1 hour', quarter, '2000-01-01 00:00:00+00') AS hour, status, outcome,
                 sum(calls) AS calls, sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls,
                 sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
          FROM folded GROUP BY 1, 2, 3, 4, 5, 6) f
    CROSS JOIN LATERAL subjects_of(f.company_id, f.campaign_id, f.skillbase_id) s
    WHERE s.kind > 1 GROUP BY 1, 2, 4, 5, 6, 7
    UNION ALL
    SELECT kind, subject, 1440::smallint, date_bin('24 hours', bucket, '2000-01-01 00:00:00+00'), status, outcome, company_id,
           sum(calls) AS calls, sum(measured) AS measured, sum(duration_ms) AS duration_ms, sum(turns) AS turns, sum(eou_calls) AS eou_calls,
           sum(eou_sum) AS eou_sum, sum(interruption_sum) AS interruption_sum, sum(cost_stt) AS cost_stt, sum(cost_llm) AS cost_llm, sum(cost_tts) AS cost_tts, sum(cost_livekit) AS cost_livekit
    FROM kept_sums WHERE minutes = 60 GROUP BY 1, 2, 4, 5, 6, 7
), latency_slots AS MATERIALIZED (
    SELECT l.kind, l.subject, l.day, l.status, l.outcome, u.slot, u.n FROM call_latencies l CROSS JOIN LATERAL unnest(l.slots, l.counts) AS u(slot, n)
    WHERE u.n <> 0 AND l.day >= (SELECT begins FROM bounds) AND l.day < (SELECT ends FROM bounds)
), day_slots AS (
    SELECT s.kind, s.subject, f.day, f.status, f.outcome, f.slot, sum(f.n) AS n
    FROM (SELECT f.company_id, f.campaign_id, f.skillbase_id, date_trunc('day', f.quarter, 'UTC') AS day, f.status, f.outcome, u.slot, sum(u.n) AS n
          FROM folded f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n) GROUP BY 1, 2, 3, 4, 5, 6, 7) f
    CROSS JOIN LATERAL subjects_of(f.company_id, f.campaign_id, f.skillbase_id) s
    WHERE s.kind > 0 GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(f.n) <> 0
    UNION ALL
    SELECT 0::smallint, '00000000-0000-0000-0000-000000000000', day, status, outcome, slot, sum(n) FROM latency_slots WHERE kind = 1 AND status <> 0
    GROUP BY day, status, outcome, slot HAVING sum(n) <> 0
    UNION ALL
    SELECT kind, subject, day, 0::smallint, '', slot, sum(n) FROM latency_slots WHERE status <> 0 GROUP BY kind, subject, day, slot HAVING sum(n) <> 0
)
SELECT what, which, kept, counted FROM (
    SELECT 'figures' AS what, concat_ws(' ', quarter AT TIME ZONE 'UTC', company_id, campaign_id, skillbase_id, skillbase_version, status, outcome) AS which,
           concat_ws(' ', k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit) AS kept,
           concat_ws(' ', c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit) AS counted
    FROM kept k FULL JOIN counted c USING (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome)
    WHERE figures_differ(k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit,
                         c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
    UNION ALL
    SELECT 'histograms', concat_ws(' ', quarter AT TIME ZONE 'UTC', company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, slot), k.n::text, c.n::text
    FROM kept_slots k
    FULL JOIN (SELECT * FROM counted_slots WHERE slot IS NOT NULL) c USING (quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, slot)
    WHERE k.n IS DISTINCT FROM c.n
    UNION ALL
    SELECT 'sums', concat_ws(' ', kind, subject, minutes, bucket AT TIME ZONE 'UTC', status, outcome, company_id),
           concat_ws(' ', k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit),
           concat_ws(' ', c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
    FROM kept_sums k FULL JOIN summed c USING (kind, subject, minutes, bucket, status, outcome, company_id)
    WHERE figures_differ(k.calls, k.measured, k.duration_ms, k.turns, k.eou_calls, k.eou_sum, k.interruption_sum, k.cost_stt, k.cost_llm, k.cost_tts, k.cost_livekit,
                         c.calls, c.measured, c.duration_ms, c.turns, c.eou_calls, c.eou_sum, c.interruption_sum, c.cost_stt, c.cost_llm, c.cost_tts, c.cost_livekit)
    UNION ALL
    SELECT 'latencies', concat_ws(' ', kind, subject, day AT TIME ZONE 'UTC', status, outcome, slot), k.n::text, c.n::text
    FROM latency_slots k FULL JOIN day_slots c USING (kind, subject, day, status, outcome, slot)
    WHERE k.n IS DISTINCT FROM c.n
) d LIMIT $3::bigint
