-- $1 and $2 upload and row where the last batch ended, $3 rows at most
SELECT upload_id, row_number, content FROM call_list_upload_errors
WHERE (upload_id, row_number) > ($1::uuid, $2::bigint) ORDER BY upload_id, row_number LIMIT $3::bigint
