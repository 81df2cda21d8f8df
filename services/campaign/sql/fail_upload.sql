-- $1 upload, $2 attempt, $3 why
SELECT fail_upload($1::uuid, $2::integer, $3::text)
