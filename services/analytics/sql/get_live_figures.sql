-- $1 kind (1 company, 2 campaign, 3 skillbase), $2 which. No row when it is not there any more; the first row is the whole, the others are the outcomes.
-- Two days of sums, two quarters of histograms and what was changed since the last fold: as many rows are read for many calls as for few. Only the calls of
-- the last minute are counted as calls, in an index that begins with them. Times that bound a scan stand there as expressions, which the planner can estimate.
WITH times AS MATERIALIZED (
    SELECT now() AS now, date_trunc('day', now(), 'UTC') AS today, date_bin('15 minutes', now() - interval '15 minutes', '2000-01-01 00:00:00+00') AS recent
), changes AS MATERIALIZED (
    SELECT f.quarter, f.status, f.outcome, f.calls, f.cost_stt + f.cost_llm + f.cost_tts + f.cost_livekit AS cost, f.slots, f.counts
    FROM present_changes f
    WHERE f.quarter >= (SELECT least(today - interval '24 hours', recent) FROM times)
      AND CASE $1::smallint WHEN 1 THEN f.company_id WHEN 2 THEN f.campaign_id ELSE f.skillbase_id END = $2::uuid
), days AS MATERIALIZED (
    SELECT f.bucket >= (SELECT today FROM times) AS is_today, f.status, f.outcome, f.calls, f.cost_stt + f.cost_llm + f.cost_tts + f.cost_livekit AS cost
    FROM present_sums f
    WHERE f.kind = $1::smallint AND f.subject = $2::uuid AND f.minutes = 1440 AND f.bucket >= date_trunc('day', now(), 'UTC') - interval '24 hours'
    UNION ALL
    SELECT c.quarter >= t.today, c.status, c.outcome, c.calls, c.cost FROM changes c CROSS JOIN times t WHERE c.quarter >= t.today - interval '24 hours'
), sums AS (
    SELECT coalesce(sum(calls) FILTER (WHERE status = 1), 0)::bigint AS active_calls, coalesce(sum(calls) FILTER (WHERE is_today), 0)::bigint AS calls_today,
           coalesce(sum(cost) FILTER (WHERE is_today), 0)::bigint AS spend_today
    FROM days
), begun AS (
    SELECT count(*) AS calls_per_minute FROM (
        SELECT FROM present_calls c WHERE $1::smallint = 1 AND c.company_id = $2::uuid AND c.started_at > now() - interval '1 minute' AND c.started_at <= now()
        UNION ALL
        SELECT FROM present_calls c WHERE $1::smallint = 2 AND c.campaign_id = $2::uuid AND c.started_at > now() - interval '1 minute' AND c.started_at <= now()
        UNION ALL
        SELECT FROM present_calls c WHERE $1::smallint = 3 AND c.skillbase_id = $2::uuid AND c.started_at > now() - interval '1 minute' AND c.started_at <= now()) c
), ranked AS (
    SELECT slot, sum(n) OVER (ORDER BY slot) AS upto, sum(n) OVER () AS whole FROM (
        SELECT u.slot, sum(u.n) AS n FROM (
            SELECT f.slots, f.counts FROM present_figures f
            WHERE f.quarter >= date_bin('15 minutes', now() - interval '15 minutes', '2000-01-01 00:00:00+00')
              AND ($1::smallint = 1 AND f.company_id = $2::uuid OR $1::smallint = 2 AND f.campaign_id = $2::uuid OR $1::smallint = 3 AND f.skillbase_id = $2::uuid)
            UNION ALL
            SELECT c.slots, c.counts FROM changes c WHERE c.quarter >= (SELECT recent FROM times)) f
        CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n)
        GROUP BY u.slot HAVING sum(u.n) > 0) slots
), percentiles AS (
    SELECT slot_latency(min(slot) FILTER (WHERE upto * 100 >= whole * 50)) AS p50, slot_latency(min(slot) FILTER (WHERE upto * 100 >= whole * 95)) AS p95 FROM ranked
), outcomes AS (
    SELECT coalesce(nullif(outcome, ''), 'unknown') AS ended_as, sum(calls)::bigint AS calls FROM days WHERE is_today AND status <> 1 GROUP BY 1 HAVING sum(calls) <> 0
)
SELECT times.now, active_calls, calls_per_minute, calls_today, spend_today, p50, p95, ended_as, calls
FROM times CROSS JOIN sums CROSS JOIN begun CROSS JOIN percentiles LEFT JOIN outcomes ON true
WHERE CASE $1::smallint WHEN 1 THEN EXISTS (SELECT FROM companies WHERE id = $2::uuid)
                        WHEN 2 THEN EXISTS (SELECT FROM campaigns WHERE id = $2::uuid)
                        ELSE EXISTS (SELECT FROM skillbases WHERE id = $2::uuid) END
