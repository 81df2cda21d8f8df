-- $1 company of who asks (NULL: any), $2 id, $3 states from which the move is allowed, $4 the state to reach, $5 revision of if-match in microseconds
-- (NULL: any)
SELECT verdict, status FROM move_campaign($2::uuid, $1::uuid, $3::text[], $4::text, $5::bigint)
