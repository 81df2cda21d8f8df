-- $1 campaign, $2 upload, $3 first page of the temporary table, $4 the page after the last
SELECT insert_upload_rows($1::uuid, $2::uuid, $3::bigint, $4::bigint)
