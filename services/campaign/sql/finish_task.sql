-- $1 company of who asks (NULL: any), $2 call, $3 fence, $4 disposition, $5 outcome, $6 error_message
SELECT verdict, task, state, next_attempt_at FROM finish_task($2::uuid, $3::bigint, $1::uuid, $4::text, $5::text, $6::text)
