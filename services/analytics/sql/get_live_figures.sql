-- $1 kind (1 company, 2 campaign, 3 skillbase), $2 which. No row when it is not there any more; the first row is the whole, the others are the outcomes.
WITH times AS (
    SELECT now() AS now, date_trunc('day', now(), 'UTC') AS today, date_bin('15 minutes', now() - interval '15 minutes', '2000-01-01 00:00:00+00') AS recent
), mine AS (
    SELECT c.status, c.outcome, c.started_at, c.ended_at, m.avg_eou_latency, m.cost_total
    FROM times t
    JOIN calls c ON c.started_at >= least(t.today - interval '1 day', t.recent)
    LEFT JOIN call_metrics m ON m.call_id = c.id AND m.started_at = c.started_at
    WHERE CASE $1::smallint WHEN 1 THEN c.company_id WHEN 2 THEN c.campaign_id ELSE c.skillbase_id END = $2::uuid
), whole AS (
    SELECT count(*) FILTER (WHERE status = 1) AS active_calls,
           count(*) FILTER (WHERE started_at > now - interval '1 minute' AND started_at <= now) AS calls_per_minute,
           count(*) FILTER (WHERE started_at >= today) AS calls_today,
           coalesce(sum(cost_total) FILTER (WHERE started_at >= today), 0)::bigint AS spend_today,
           percentile_disc(0.50) WITHIN GROUP (ORDER BY avg_eou_latency) FILTER (WHERE started_at >= recent) AS p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY avg_eou_latency) FILTER (WHERE started_at >= recent) AS p95
    FROM times CROSS JOIN mine
), outcomes AS (
    SELECT coalesce(outcome, 'unknown') AS ended_as, count(*) AS calls FROM times CROSS JOIN mine WHERE started_at >= today AND ended_at IS NOT NULL GROUP BY 1
)
SELECT times.now, whole.*, ended_as, calls
FROM times CROSS JOIN whole LEFT JOIN outcomes ON true
WHERE CASE $1::smallint WHEN 1 THEN EXISTS (SELECT FROM companies WHERE id = $2::uuid)
                        WHEN 2 THEN EXISTS (SELECT FROM campaigns WHERE id = $2::uuid)
                        ELSE EXISTS (SELECT FROM skillbases WHERE id = $2::uuid) END
