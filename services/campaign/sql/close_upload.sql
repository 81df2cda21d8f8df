-- $1 campaign, $2 upload, $3 file name, $4 rows, $5 rows that became tasks, $6 rows that were there already, $7 rows that were refused
SELECT verdict FROM close_upload($1::uuid, $2::uuid, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::bigint)
