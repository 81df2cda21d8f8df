-- $1 company of who asks (NULL: any), $2 campaign, $3 upload, $4 file name, $5 rows, $6 rows that were refused
SELECT verdict, created, duplicates, detail FROM finish_upload($2::uuid, $1::uuid, $3::uuid, $4::text, $5::bigint, $6::bigint)
