-- $1 upload, $2 bytes, $3 fingerprint
SELECT queue_upload($1::uuid, $2::bigint, $3::text)
