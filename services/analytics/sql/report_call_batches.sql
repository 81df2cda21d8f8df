-- See report_call_batches() in the migration: $1..$26 one element a batch, $27 the configured prices, $28..$32 one element an event, $33 the bytes; $34 words that a company
-- may have for outcomes
SELECT result, accepted, duplicates, last_seq
FROM report_call_batches(present_scopes($1::uuid[], $2::uuid[]), $2::uuid[], $3::bigint[], $4::integer[],
    $5::uuid[], $6::uuid[], $7::integer[], $8::uuid[], $9::uuid[], $10::text[], $11::timestamptz[],
    $12::timestamptz[], $13::integer[], $14::smallint[],
    admit_outcomes(present_scopes($1::uuid[], $2::uuid[]), $2::uuid[], $5::uuid[], $15::text[], $34::integer), $16::timestamptz[],
    $17::bigint[], $18::double precision[], $19::double precision[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[],
    $25::integer[], $26::integer[], $27::bigint[],
    $28::integer[], $29::bigint[], $30::smallint[], $31::integer[], $32::integer[], $33::bytea)
