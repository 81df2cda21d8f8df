-- $1 company of who asks (NULL: any), $2 campaign, $3 upload
SELECT verdict, claimed, first_task, last_task FROM open_undo($2::uuid, $3::uuid, $1::uuid)
