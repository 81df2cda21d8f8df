-- $1 company of who asks (NULL: any), $2 company, $3 first and $4 last day (UTC), $5 and $6 position after which it goes on (NULL: from the beginning), $7 most
-- calls, $8 the configured prices. No row: there is no such company.
SELECT r.looked, r.changed, r.last_at, r.last_id
FROM (SELECT id FROM companies WHERE id = $2::uuid AND ($1::uuid IS NULL OR id = $1::uuid) OFFSET 0) c
CROSS JOIN LATERAL re_rate_calls(c.id, $3::date::timestamp AT TIME ZONE 'UTC', ($4::date + 1)::timestamp AT TIME ZONE 'UTC', $5::timestamptz, $6::uuid, $7::integer,
                                 $8::bigint[]) r
