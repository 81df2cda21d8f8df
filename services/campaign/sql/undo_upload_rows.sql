-- $1 upload, $2 first and $3 last task to look at, $4 how many at most
SELECT gone, last FROM undo_upload_rows($1::uuid, $2::uuid, $3::uuid, $4::integer)
