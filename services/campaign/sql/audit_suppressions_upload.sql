-- $1 company, $2 rows of the file, $3 suppressions made, $4 rows refused, $5 tasks that became suppressed
SELECT audit_suppressions_upload($1::uuid, $2::bigint, $3::bigint, $4::bigint, $5::bigint)
