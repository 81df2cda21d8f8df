-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 and $8 first hour and end of
-- the last one that hold the page, $9 these hours (see place_calls.sql); $10 and $11 started_at and id where the last page ended (NULL: from the
-- beginning), $12 rows to skip in them, $13 rows that are wanted
-- Planned for the values it is run with (the filters decide which index serves it, the hours which partitions), which PostgreSQL does by itself because
-- the plan for unknown values costs more.
WITH page AS MATERIALIZED (
    SELECT c.* FROM unnest($9::timestamptz[]) AS h(hour) CROSS JOIN LATERAL (
        SELECT * FROM calls c
        WHERE c.started_at >= h.hour AND c.started_at < h.hour + interval '1 hour' AND c.started_at >= $7::timestamptz AND c.started_at < $8::timestamptz
          AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
          AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
          AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
          AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
          AND ($5::text IS NULL OR c.outcome = $5::text)
          AND ($6::smallint IS NULL OR c.status = $6::smallint)
          AND (c.started_at, c.id) < (coalesce($10::timestamptz, 'infinity'), coalesce($11::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY c.started_at DESC, c.id DESC LIMIT $12::bigint + $13::bigint
    ) c
    ORDER BY c.started_at DESC, c.id DESC OFFSET $12::bigint LIMIT $13::bigint
)
SELECT p.id, s.id AS skillbase_id, k.id AS campaign_id, p.phone_number, p.outcome,
       trunc(extract(epoch FROM coalesce(p.ended_at, p.last_event_at) - p.started_at) * 1000)::bigint AS duration_ms,
       p.turn_count, p.status, p.started_at, p.ended_at, m.avg_eou_latency, m.cost_total
FROM page p
LEFT JOIN call_metrics m ON m.call_id = p.id AND m.started_at = p.started_at
LEFT JOIN skillbases s ON s.id = p.skillbase_id
LEFT JOIN campaigns k ON k.id = p.campaign_id
ORDER BY p.started_at DESC, p.id DESC
