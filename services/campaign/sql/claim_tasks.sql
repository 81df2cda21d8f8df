-- $1 worker, $2 most tasks, $3 company (NULL: any), $4 campaign (NULL: any), $5 ids for the calls, $6 lease in microseconds
SELECT * FROM claim_tasks($1::text, $2::integer, $3::uuid, $4::uuid, $5::text[]::uuid[], $6::bigint * interval '1 microsecond')
