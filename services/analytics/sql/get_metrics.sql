-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day, UTC
-- (NULL: 30 days that end today). One row for each status and outcome, and at least one, with the period and the percentiles. What is kept per day
-- and what was changed since the last fold are read in one snapshot, so the figures are exact; as many rows are read for few calls as for many.
WITH who AS MATERIALIZED (
    SELECT CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN 4 WHEN $3::uuid IS NOT NULL THEN 3 WHEN $4::uuid IS NOT NULL THEN 2
                WHEN coalesce($1::uuid, $2::uuid) IS NOT NULL THEN 1 ELSE 0 END AS kind,
           CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN subject_of_pair($4::uuid, $3::uuid)
                ELSE coalesce($3::uuid, $4::uuid, $1::uuid, $2::uuid, '00000000-0000-0000-0000-000000000000') END AS subject
), bounds AS MATERIALIZED (
    SELECT coalesce($7::date, coalesce($8::date, today) - 29) AS first_day, coalesce($8::date, today) AS last_day
    FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) t
), period AS MATERIALIZED (
    SELECT first_day::timestamp AT TIME ZONE 'UTC' AS begins, (last_day + 1)::timestamp AT TIME ZONE 'UTC' AS ends FROM bounds
), changes AS MATERIALIZED (
    SELECT f.* FROM present_changes f
    WHERE f.quarter >= (SELECT begins FROM period) AND f.quarter < (SELECT ends FROM period)
      AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR f.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR f.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
), sums AS (
    SELECT status, CASE WHEN status <> 1 THEN coalesce(nullif(outcome, ''), 'unknown') END AS ended_as, sum(calls)::bigint AS calls, sum(measured)::bigint AS measured,
           sum(duration_ms)::bigint AS duration_ms, sum(turns)::bigint AS turns, sum(eou_calls)::bigint AS eou_calls, sum(eou_sum) AS eou_sum,
           sum(interruption_sum) AS interruption_sum, sum(cost_stt)::bigint AS cost_stt, sum(cost_llm)::bigint AS cost_llm, sum(cost_tts)::bigint AS cost_tts,
           sum(cost_livekit)::bigint AS cost_livekit
    FROM (
        SELECT status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit
        FROM present_sums f
        WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.minutes = 1440
          AND f.bucket >= (SELECT begins FROM period) AND f.bucket < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
        UNION ALL
        SELECT status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit FROM changes
    ) parts
    GROUP BY 1, 2 HAVING sum(calls) <> 0 OR sum(measured) <> 0
), slots AS (
    SELECT slot, sum(n) AS n FROM (
        SELECT u.slot, u.n FROM present_latencies f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n)
        WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.status = 0 AND $5::text IS NULL AND $6::smallint IS NULL
          AND f.day >= (SELECT begins FROM period) AND f.day < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
        UNION ALL
        SELECT u.slot, u.n FROM present_latencies f CROSS JOIN LATERAL unnest(f.slots, f.counts) AS u(slot, n)
        WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.status <> 0 AND ($5::text IS NOT NULL OR $6::smallint IS NOT NULL)
          AND f.day >= (SELECT begins FROM period) AND f.day < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
        UNION ALL
        SELECT u.slot, u.n FROM changes c CROSS JOIN LATERAL unnest(c.slots, c.counts) AS u(slot, n)
    ) parts
    GROUP BY slot HAVING sum(n) > 0
), ranked AS (
    SELECT slot, sum(n) OVER (ORDER BY slot) AS upto, sum(n) OVER () AS whole FROM slots
), percentiles AS (
    SELECT slot_latency(min(slot) FILTER (WHERE upto * 100 >= whole * 50)) AS p50, slot_latency(min(slot) FILTER (WHERE upto * 100 >= whole * 95)) AS p95,
           slot_latency(min(slot) FILTER (WHERE upto * 100 >= whole * 99)) AS p99
    FROM ranked
)
SELECT to_char(b.first_day, 'YYYY-MM-DD') AS first_day, to_char(b.last_day, 'YYYY-MM-DD') AS last_day, p.p50, p.p95, p.p99, s.*
FROM bounds b CROSS JOIN percentiles p LEFT JOIN sums s ON true
ORDER BY s.ended_as, s.status
