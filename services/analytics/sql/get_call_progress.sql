-- $1 company of who asks (NULL: any), $2 call
SELECT c.last_seq, c.started_at FROM call_index i JOIN present_calls c ON c.id = i.call_id AND c.started_at = i.started_at
WHERE i.call_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
