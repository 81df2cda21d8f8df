-- $1 call, $2 after this seq, $3 events at most. The caller has seen the call itself within its scope.
SELECT seq, kind, event FROM call_events
WHERE call_id = $1::uuid AND seq > $2::bigint AND started_at = (SELECT started_at FROM call_index WHERE call_id = $1::uuid)
ORDER BY seq LIMIT $3::bigint
