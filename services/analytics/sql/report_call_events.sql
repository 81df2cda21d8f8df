-- See report_call_events() in the migration. $1 company of who asks (NULL: any), $2 call, $3 first seq, $4 kinds, $5 events, $6..$12 the start,
-- $13 times, $14 statuses, $15 outcomes, $16 expected seq, $17..$23 the figures
SELECT result, accepted, duplicates, last_seq
FROM report_call_events($1::uuid, $2::uuid, $3::bigint, $4::smallint[], $5::bytea[],
    $6::uuid, $7::uuid, $8::integer, $9::uuid, $10::uuid, $11::text, $12::timestamptz,
    $13::timestamptz[], $14::smallint[], $15::text[],
    $16::bigint, $17::double precision, $18::double precision, $19::bigint, $20::bigint, $21::bigint, $22::bigint, $23::bytea)
