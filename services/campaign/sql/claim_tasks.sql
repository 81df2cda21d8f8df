-- $1 worker of each task, $2 company (NULL: any), $3 campaign (NULL: any), $4 ids for the calls, as many, $5 lease in microseconds
SELECT * FROM claim_tasks($1::text[], $2::uuid, $3::uuid, $4::text[]::uuid[], $5::bigint * interval '1 microsecond')
