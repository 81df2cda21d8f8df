-- $1 campaign, $2 first page of the temporary table, $3 the page after the last
SELECT staged, created FROM insert_upload_rows($1::uuid, $2::bigint, $3::bigint)
