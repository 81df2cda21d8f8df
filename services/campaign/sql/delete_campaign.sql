-- $1 company of who asks (NULL: any), $2 id, $3 revision of if-match in microseconds (NULL: any)
SELECT verdict FROM delete_campaign($2::uuid, $1::uuid, $3::bigint)
