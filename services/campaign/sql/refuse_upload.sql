-- $1 upload, $2 attempt, $3 most errors to keep, $4 bytes, $5 rows, $6 rows refused, $7 format, $8 charset, $9 sheet, $10 why
SELECT refuse_upload($1::uuid, $2::integer, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::text, $8::text, $9::text, $10::text) AS verdict
