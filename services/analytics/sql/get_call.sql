-- $1 company of who asks (NULL: any), $2 call
SELECT c.id, c.company_id, c.skillbase_id, c.skillbase_version, c.campaign_id, c.task_id, c.phone_number, c.outcome,
       trunc(extract(epoch FROM coalesce(c.ended_at, c.last_event_at) - c.started_at) * 1000)::bigint AS duration_ms,
       c.turn_count, c.status, c.started_at, c.ended_at, c.last_seq, m.figures
FROM calls c
LEFT JOIN call_metrics m ON m.call_id = c.id
WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
