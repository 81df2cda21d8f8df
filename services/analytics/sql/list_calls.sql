-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 and $8 begin of the
-- first and end of the last stretch of time that hold the page, $9 the beginnings of all, newest first (see place_calls.sql), $10 minutes of each; $11 and
-- $12 started_at and id where the last page ended (NULL: from the beginning), $13 rows to skip in the newest, $14 rows that are wanted
-- Planned for the values it is run with (the filters decide which index serves it, the hours which partitions), which PostgreSQL does by itself because
-- the plan for unknown values costs more. One comparison of rows bounds each stretch, because that is where an index scan begins.
WITH page AS MATERIALIZED (
    SELECT c.started_at, c.id FROM unnest($9::timestamptz[]) WITH ORDINALITY AS h(at, i) CROSS JOIN LATERAL (
        SELECT c.started_at, c.id FROM present_calls c
        WHERE c.started_at >= h.at AND c.started_at >= $7::timestamptz AND c.started_at < $8::timestamptz
          AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
          AND ($2::uuid IS NULL OR c.company_id = $2::uuid)
          AND ($3::uuid IS NULL OR c.skillbase_id = $3::uuid)
          AND ($4::uuid IS NULL OR c.campaign_id = $4::uuid)
          AND ($5::text IS NULL OR c.outcome = $5::text)
          AND ($6::smallint IS NULL OR c.status = $6::smallint)
          AND (c.started_at, c.id) < (least(h.at + make_interval(mins => $10::integer), $11::timestamptz),
                                      CASE WHEN $11::timestamptz < h.at + make_interval(mins => $10::integer) THEN $12::uuid ELSE '00000000-0000-0000-0000-000000000000' END)
        ORDER BY c.started_at DESC, c.id DESC OFFSET CASE WHEN h.i = 1 THEN $13::bigint ELSE 0 END LIMIT $14::bigint
    ) c
    ORDER BY c.started_at DESC, c.id DESC LIMIT $14::bigint
)
SELECT p.id, s.id AS skillbase_id, k.id AS campaign_id, p.phone_number, p.outcome,
       trunc(extract(epoch FROM coalesce(p.ended_at, p.last_event_at) - p.started_at) * 1000)::bigint AS duration_ms,
       p.turn_count, p.status, p.started_at, p.ended_at, m.avg_eou_latency, m.cost_total
FROM page q JOIN calls p ON p.id = q.id AND p.started_at = q.started_at AND p.started_at >= $7::timestamptz AND p.started_at < $8::timestamptz
LEFT JOIN call_metrics m ON m.call_id = q.id AND m.started_at = q.started_at AND m.started_at >= $7::timestamptz AND m.started_at < $8::timestamptz
LEFT JOIN skillbases s ON s.id = p.skillbase_id
LEFT JOIN campaigns k ON k.id = p.campaign_id
ORDER BY p.started_at DESC, p.id DESC
