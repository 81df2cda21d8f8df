-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day in the zone (NULL: 30
-- days that end today), $9 'hour' or 'day', $10 time zone, $11 steps at most (one more is returned when there are more)
-- Zones shift by as little as half an hour, so the beginnings of hours are found by looking at every quarter of an hour. Steps that are whole UTC
-- days or hours are made of what is kept for those, others (zones that are not whole hours away from UTC) of quarters.
WITH who AS MATERIALIZED (
    SELECT CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN 4 WHEN $3::uuid IS NOT NULL THEN 3 WHEN $4::uuid IS NOT NULL THEN 2
                WHEN coalesce($1::uuid, $2::uuid) IS NOT NULL THEN 1 ELSE 0 END AS kind,
           CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN subject_of_pair($4::uuid, $3::uuid)
                ELSE coalesce($3::uuid, $4::uuid, $1::uuid, $2::uuid, '00000000-0000-0000-0000-000000000000') END AS subject
), bounds AS (
    SELECT coalesce($7::date, coalesce($8::date, today) - 29) AS first_day, coalesce($8::date, today) AS last_day
    FROM (SELECT (now() AT TIME ZONE $10::text)::date AS today) t
), period AS MATERIALIZED (
    SELECT first_day::timestamp AT TIME ZONE $10::text AS begins, (last_day + 1)::timestamp AT TIME ZONE $10::text AS ends FROM bounds
), steps AS (
    SELECT DISTINCT date_trunc($9::text, g, $10::text) AS step
    FROM period, generate_series(begins, least(ends, begins + interval '11 years') - interval '1 microsecond',
                                 CASE WHEN $9::text = 'hour' THEN interval '15 minutes' ELSE interval '12 hours' END) AS g
    ORDER BY step
    LIMIT $11::bigint + 1
), grid AS MATERIALIZED (
    SELECT array_agg(step ORDER BY step) AS steps, bool_and(step = date_trunc('hour', step, 'UTC')) AS by_hours,
           CASE WHEN $9::text = 'day' AND bool_and(step = date_trunc('day', step, 'UTC')) THEN 1440 ELSE 60 END AS minutes
    FROM steps
), points AS (
    SELECT width_bucket(at, (SELECT steps FROM grid)) AS i, sum(calls)::bigint AS total_calls, (sum(calls) FILTER (WHERE status = 2))::bigint AS completed_calls,
           (sum(calls) FILTER (WHERE status = 3))::bigint AS failed_calls, (sum(calls) FILTER (WHERE status <> 1))::bigint AS ended_calls,
           sum(measured)::bigint AS measured, sum(duration_ms)::bigint AS duration_ms, sum(eou_calls)::bigint AS eou_calls, sum(eou_sum) AS eou_sum,
           sum(cost_stt + cost_llm + cost_tts + cost_livekit)::bigint AS total_cost
    FROM (
        SELECT bucket AS at, status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit
        FROM present_sums f
        WHERE (SELECT by_hours FROM grid) AND f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.minutes = (SELECT minutes FROM grid)
          AND f.bucket >= (SELECT begins FROM period) AND f.bucket < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
        UNION ALL
        SELECT quarter, status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit
        FROM present_figures f
        WHERE NOT (SELECT by_hours FROM grid)
          AND f.quarter >= (SELECT begins FROM period) AND f.quarter < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR f.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR f.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
        UNION ALL
        SELECT quarter, status, outcome, calls, measured, duration_ms, turns, eou_calls, eou_sum, interruption_sum, cost_stt, cost_llm, cost_tts, cost_livekit
        FROM present_changes f
        WHERE f.quarter >= (SELECT begins FROM period) AND f.quarter < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR f.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR f.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
    ) parts
    GROUP BY 1
)
SELECT s.step, coalesce(p.total_calls, 0) AS total_calls, coalesce(p.completed_calls, 0) AS completed_calls, coalesce(p.failed_calls, 0) AS failed_calls,
       p.duration_ms::double precision / nullif(p.ended_calls, 0) / 1000 AS avg_duration_sec, p.eou_sum / nullif(p.eou_calls, 0) AS avg_eou_latency,
       CASE WHEN p.measured > 0 THEN p.total_cost END AS total_cost
FROM (SELECT unnest(steps) AS step, generate_subscripts(steps, 1) AS i FROM grid) s LEFT JOIN points p ON p.i = s.i
ORDER BY s.step
