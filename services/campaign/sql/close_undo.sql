-- $1 upload
SELECT close_undo($1::uuid)
