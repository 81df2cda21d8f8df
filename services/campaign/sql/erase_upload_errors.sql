-- $1 erasure, $2 and $3 uploads and rows that lose their content, $4 and $5 upload and row up to which all have been looked at
SELECT erase_upload_errors($1::uuid, $2::uuid[], $3::bigint[], $4::uuid, $5::bigint)
