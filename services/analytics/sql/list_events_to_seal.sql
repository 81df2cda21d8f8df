-- $1 and $2 call and seq where the last batch ended, $3 events at most; of all calls, in the order of the primary key
SELECT call_id, seq, started_at, event FROM call_events WHERE (call_id, seq) > ($1::uuid, $2::bigint) ORDER BY call_id, seq LIMIT $3::bigint
