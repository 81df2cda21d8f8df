-- $1 first page of the temporary table of duplicates, $2 the page after the last
SELECT update_upload_rows($1::bigint, $2::bigint)
