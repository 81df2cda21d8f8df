-- $1 company of who asks (NULL: any), $2 call, $3 fence, $4 lease in microseconds. Columns as enum step_column.
SELECT verdict, status, lease_until, NULL::uuid AS task, NULL::text AS state, NULL::timestamptz AS next_attempt_at, 1 AS place
FROM begin_dial($2::uuid, $3::bigint, $1::uuid, $4::bigint * interval '1 microsecond')
