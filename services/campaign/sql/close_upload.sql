-- $1 campaign, $2 upload, $3 attempt, $4 most errors to keep, $5 bytes, $6 rows, $7 tasks made, $8 tasks updated, $9 rows that were there already, $10 rows refused,
-- $11 format, $12 charset, $13 sheet, $14 data columns, $15 fingerprint
SELECT close_upload($1::uuid, $2::uuid, $3::integer, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11::text, $12::text,
                    $13::text, $14::text[], $15::text) AS verdict
