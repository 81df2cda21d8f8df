-- $1 company of who asks (NULL: any), $2 call, $3 fence, $4 disposition, $5 outcome, $6 error_message. Columns as enum step_column.
SELECT verdict, NULL::text AS status, NULL::timestamptz AS lease_until, task, state, next_attempt_at, 1 AS place
FROM finish_task($2::uuid, $3::bigint, $1::uuid, $4::text, $5::text, $6::text)
