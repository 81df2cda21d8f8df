-- $1 company, $2 first page of the temporary table, $3 the page after the last
SELECT staged, created, tasks FROM insert_suppressions($1::uuid, $2::bigint, $3::bigint)
