-- $1 upload, $2 number
SELECT data FROM call_list_upload_chunks WHERE upload_id = $1::uuid AND number = $2::integer
