-- $1 company, $2 first and $3 last day (UTC), $4 and $5 position after which it goes on (NULL: from the beginning), $6 most calls, $7 the configured prices
SELECT looked, changed, last_at, last_id
FROM re_rate_calls($1::uuid, $2::date::timestamp AT TIME ZONE 'UTC', ($3::date + 1)::timestamp AT TIME ZONE 'UTC', $4::timestamptz, $5::uuid, $6::integer, $7::bigint[])
