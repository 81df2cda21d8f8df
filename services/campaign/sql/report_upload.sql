-- $1 upload, $2 attempt, $3 state, $4 bytes, $5 rows, $6 tasks, $7 rows refused, $8 format, $9 charset, $10 sheet, $11 lease
SELECT report_upload($1::uuid, $2::integer, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::text, $9::text, $10::text, $11::interval)
