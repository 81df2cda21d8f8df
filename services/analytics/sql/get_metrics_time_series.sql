-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day in the zone (NULL: 30
-- days that end today), $9 'hour' or 'day', $10 time zone, $11 steps at most (one more is returned when there are more)
-- Zones shift by as little as half an hour, so the beginnings of hours are found by looking at every quarter of an hour.
WITH bounds AS (
    SELECT coalesce($7::date, coalesce($8::date, today) - 29) AS first_day, coalesce($8::date, today) AS last_day
    FROM (SELECT (now() AT TIME ZONE $10::text)::date AS today) t
), period AS (
    SELECT first_day::timestamp AT TIME ZONE $10::text AS begins, (last_day + 1)::timestamp AT TIME ZONE $10::text AS ends FROM bounds
), steps AS (
    SELECT DISTINCT date_trunc($9::text, g, $10::text) AS step
    FROM period, generate_series(begins, least(ends, begins + interval '11 years') - interval '1 microsecond',
                                 CASE WHEN $9::text = 'hour' THEN interval '15 minutes' ELSE interval '12 hours' END) AS g
    ORDER BY step
    LIMIT $11::bigint + 1
), matching AS (
    SELECT date_trunc($9::text, c.started_at, $10::text) AS step, c.status, c.started_at, c.ended_at, m.avg_eou_latency, m.cost_total
    FROM period p
    JOIN calls c ON c.started_at >= p.begins AND c.started_at < p.ends
    LEFT JOIN call_metrics m ON m.call_id = c.id
    WHERE ($1::uuid IS NULL OR c.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR c.outcome = $5::text)
      AND ($6::smallint IS NULL OR c.status = $6::smallint)
)
SELECT s.step, count(m.started_at) AS total_calls,
       count(*) FILTER (WHERE m.status = 2) AS completed_calls,
       count(*) FILTER (WHERE m.status = 3) AS failed_calls,
       (avg(trunc(extract(epoch FROM m.ended_at - m.started_at) * 1000)) / 1000)::double precision AS avg_duration_sec,
       avg(m.avg_eou_latency) AS avg_eou_latency,
       sum(m.cost_total)::bigint AS total_cost
FROM steps s LEFT JOIN matching m ON m.step = s.step
GROUP BY s.step
ORDER BY s.step
