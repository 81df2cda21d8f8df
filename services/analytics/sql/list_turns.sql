-- $1 call, $2 turns at most, $3 bytes at most. The caller has seen the call itself within its scope.
SELECT seq, event FROM (
    SELECT seq, event, sum(octet_length(event)) OVER (ORDER BY seq) AS bytes
    FROM call_events WHERE call_id = $1::uuid AND kind = 4 AND started_at = (SELECT started_at FROM call_index WHERE call_id = $1::uuid)
    ORDER BY seq LIMIT $2::bigint
) e
WHERE bytes <= $3::bigint
ORDER BY seq
