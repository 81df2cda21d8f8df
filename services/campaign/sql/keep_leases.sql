-- $1 company of who asks (NULL: any), $2 worker, $3 calls, $4 their fences, $5 lease in microseconds
SELECT call_id, state, lease_until FROM keep_leases($2::text, $1::uuid, $3::text[]::uuid[], $4::bigint[], $5::bigint * interval '1 microsecond')
