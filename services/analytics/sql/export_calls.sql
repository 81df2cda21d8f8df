-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status, $7 first and $8 last day (UTC);
-- $9 and $10 started_at and id where the last batch ended (NULL: from the beginning). A batch is 1,000 rows; no row: the end.
SELECT p.started_at, p.id,
       ARRAY[p.id::text, p.company_id::text, p.skillbase_id::text, p.campaign_id::text, p.phone_number,
             (ARRAY['active', 'completed', 'failed', 'transferred'])[p.status], p.outcome,
             trunc(extract(epoch FROM coalesce(p.ended_at, p.last_event_at) - p.started_at), 3)::text, p.turn_count::text,
             to_char(p.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), to_char(p.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
             m.avg_eou_latency::text, (m.cost_total / 1000000.0)::numeric(20, 6)::text] AS cells
FROM (
    SELECT * FROM present_calls
    WHERE ($1::uuid IS NULL OR company_id = $1::uuid)
      AND ($2::uuid IS NULL OR company_id = $2::uuid)
      AND ($3::uuid IS NULL OR skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR campaign_id = $4::uuid)
      AND ($5::text IS NULL OR outcome = $5::text)
      AND ($6::smallint IS NULL OR status = $6::smallint)
      AND ($7::date IS NULL OR started_at >= $7::date::timestamp AT TIME ZONE 'UTC')
      AND ($8::date IS NULL OR started_at < ($8::date + 1)::timestamp AT TIME ZONE 'UTC')
      AND started_at <= least($9::timestamptz, 'infinity')
      AND (started_at, id) < (least($9::timestamptz, 'infinity'), least($10::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY started_at DESC, id DESC
    LIMIT 1000) p
    LEFT JOIN call_metrics m ON m.call_id = p.id AND m.started_at = p.started_at
ORDER BY p.started_at DESC, p.id DESC
