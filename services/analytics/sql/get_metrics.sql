-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day, UTC
-- (NULL: 30 days that end today). Lengths are those of the history: whole milliseconds. The first row is the whole, the others are the outcomes.
WITH bounds AS (
    SELECT coalesce($7::date, coalesce($8::date, today) - 29) AS first_day, coalesce($8::date, today) AS last_day
    FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) t
), matching AS (
    SELECT c.status, c.started_at, c.ended_at, c.turn_count, m.*,
           CASE WHEN c.ended_at IS NOT NULL THEN coalesce(c.outcome, 'unknown') END AS ended_as
    FROM bounds b
    JOIN calls c ON c.started_at >= b.first_day::timestamp AT TIME ZONE 'UTC'
                AND c.started_at < (b.last_day + 1)::timestamp AT TIME ZONE 'UTC'
    LEFT JOIN call_metrics m ON m.call_id = c.id
    WHERE ($1::uuid IS NULL OR c.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR c.outcome = $5::text)
      AND ($6::smallint IS NULL OR c.status = $6::smallint)
), whole AS (
    SELECT count(*) AS total_calls,
           count(*) FILTER (WHERE status = 2) AS completed_calls,
           count(*) FILTER (WHERE status = 3) AS failed_calls,
           (avg(trunc(extract(epoch FROM ended_at - started_at) * 1000)) / 1000)::double precision AS avg_duration_sec,
           avg(turn_count) FILTER (WHERE ended_at IS NOT NULL)::double precision AS avg_turn_count,
           avg(avg_eou_latency) AS avg_eou_latency,
           avg(interruption_rate) AS avg_interruption_rate,
           sum(cost_total)::bigint AS total_cost,
           round(sum(cost_total) / count(*))::bigint AS avg_cost_per_call,
           percentile_disc(0.50) WITHIN GROUP (ORDER BY avg_eou_latency) AS p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY avg_eou_latency) AS p95,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY avg_eou_latency) AS p99,
           sum(cost_stt)::bigint AS cost_stt, sum(cost_llm)::bigint AS cost_llm,
           sum(cost_tts)::bigint AS cost_tts, sum(cost_livekit)::bigint AS cost_livekit
    FROM matching
), outcomes AS (
    SELECT ended_as, count(*) AS calls FROM matching WHERE ended_as IS NOT NULL GROUP BY ended_as
)
SELECT to_char(first_day, 'YYYY-MM-DD') AS first_day, to_char(last_day, 'YYYY-MM-DD') AS last_day, whole.*, ended_as, calls
FROM bounds CROSS JOIN whole LEFT JOIN outcomes ON true
ORDER BY calls DESC, ended_as
