-- $1 company of who asks (NULL: any), $2 campaign, $3 upload, $4 file name, $5 on_duplicate, $6 how to read it, $7 idempotency key, $8 how long keys live, $9 lease
SELECT verdict, other, other_fingerprint, region
FROM begin_upload($3::uuid, $2::uuid, $1::uuid, $4::text, $5::text, $6::bytea, $7::text, $8::interval, $9::interval)
