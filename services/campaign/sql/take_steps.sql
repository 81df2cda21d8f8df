-- Leave to dial: $1 companies of who asks (NULL: any), $2 calls, $3 fences, $4 lease in microseconds
-- Ends of calls: $5 companies, $6 calls, $7 fences, $8 dispositions, $9 outcomes, $10 error_messages
-- A row for each that was ordinary, columns as enum step_column; place: in the arrays, those of the ends after the others.
SELECT 'ok'::text AS verdict, NULL::text AS status, lease_until, NULL::uuid AS task, NULL::text AS state, NULL::timestamptz AS next_attempt_at, place
FROM begin_dials($2::text[]::uuid[], $3::bigint[], $1::text[]::uuid[], $4::bigint * interval '1 microsecond')
UNION ALL
SELECT 'ok', NULL, NULL, task, state, next_attempt_at, place + cardinality($2::text[])
FROM finish_tasks($6::text[]::uuid[], $7::bigint[], $5::text[]::uuid[], $8::text[], $9::text[], $10::text[])
