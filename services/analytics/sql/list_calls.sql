-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status, $7 first and $8 last day (UTC);
-- $9 and $10 started_at and id where the last page ended (NULL: from the beginning), $11 rows to skip, $12 rows of a page
-- Planned for the values it is run with (the filters decide which index serves it), which PostgreSQL does by itself because the plan for
-- unknown values costs more.
WITH page AS (
    SELECT * FROM calls
    WHERE ($1::uuid IS NULL OR company_id = $1::uuid)
      AND ($2::uuid IS NULL OR company_id = $2::uuid)
      AND ($3::uuid IS NULL OR skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR campaign_id = $4::uuid)
      AND ($5::text IS NULL OR outcome = $5::text)
      AND ($6::smallint IS NULL OR status = $6::smallint)
      AND ($7::date IS NULL OR started_at >= $7::date::timestamp AT TIME ZONE 'UTC')
      AND ($8::date IS NULL OR started_at < ($8::date + 1)::timestamp AT TIME ZONE 'UTC')
      AND (started_at, id) < (coalesce($9::timestamptz, 'infinity'), coalesce($10::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY started_at DESC, id DESC
    OFFSET $11::bigint LIMIT $12::bigint + 1
), total AS (
    SELECT count(*) AS total FROM calls
    WHERE ($1::uuid IS NULL OR company_id = $1::uuid)
      AND ($2::uuid IS NULL OR company_id = $2::uuid)
      AND ($3::uuid IS NULL OR skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR campaign_id = $4::uuid)
      AND ($5::text IS NULL OR outcome = $5::text)
      AND ($6::smallint IS NULL OR status = $6::smallint)
      AND ($7::date IS NULL OR started_at >= $7::date::timestamp AT TIME ZONE 'UTC')
      AND ($8::date IS NULL OR started_at < ($8::date + 1)::timestamp AT TIME ZONE 'UTC')
)
SELECT p.id, p.skillbase_id, p.campaign_id, p.phone_number, p.outcome,
       trunc(extract(epoch FROM coalesce(p.ended_at, p.last_event_at) - p.started_at) * 1000)::bigint AS duration_ms,
       p.turn_count, p.status, p.started_at, p.ended_at, m.avg_eou_latency, m.cost_total, t.total
FROM total t
LEFT JOIN page p ON true
LEFT JOIN call_metrics m ON m.call_id = p.id
ORDER BY p.started_at DESC, p.id DESC
