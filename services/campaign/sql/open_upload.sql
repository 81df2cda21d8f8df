-- $1 company of who asks (NULL: any), $2 campaign
SELECT verdict, detail FROM open_upload($2::uuid, $1::uuid)
