-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day (UTC);
-- $9 the number; $10 and $11 started_at and id where the last page ended (NULL: from the beginning), $12 rows to skip, $13 rows that are wanted, $14 how far
-- matches are counted
-- The figures know no numbers, so the total is counted, up to a limit. The last column is the total, and there is always a row.
WITH page AS MATERIALIZED (
    SELECT c.* FROM present_calls c
    WHERE c.phone_number = $9::text
      AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR c.outcome = $5::text)
      AND ($6::smallint IS NULL OR c.status = $6::smallint)
      AND ($7::date IS NULL OR c.started_at >= $7::date::timestamp AT TIME ZONE 'UTC')
      AND ($8::date IS NULL OR c.started_at < ($8::date + 1)::timestamp AT TIME ZONE 'UTC')
      AND (c.started_at, c.id) < (least($10::timestamptz, 'infinity'), least($11::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY c.started_at DESC, c.id DESC OFFSET $12::bigint LIMIT $13::bigint
), total AS (
    SELECT count(*) AS total FROM (
        SELECT FROM present_calls c
        WHERE c.phone_number = $9::text
          AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
          AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
          AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
          AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
          AND ($5::text IS NULL OR c.outcome = $5::text)
          AND ($6::smallint IS NULL OR c.status = $6::smallint)
          AND ($7::date IS NULL OR c.started_at >= $7::date::timestamp AT TIME ZONE 'UTC')
          AND ($8::date IS NULL OR c.started_at < ($8::date + 1)::timestamp AT TIME ZONE 'UTC')
        LIMIT $14::bigint + 1) counted
)
SELECT p.id, s.id AS skillbase_id, k.id AS campaign_id, p.phone_number, p.outcome,
       trunc(extract(epoch FROM coalesce(p.ended_at, p.last_event_at) - p.started_at) * 1000)::bigint AS duration_ms,
       p.turn_count, p.status, p.started_at, p.ended_at, m.avg_eou_latency, m.cost_total, t.total
FROM total t
LEFT JOIN page p ON true
LEFT JOIN call_metrics m ON m.call_id = p.id AND m.started_at = p.started_at
LEFT JOIN skillbases s ON s.id = p.skillbase_id
LEFT JOIN campaigns k ON k.id = p.campaign_id
ORDER BY p.started_at DESC, p.id DESC
