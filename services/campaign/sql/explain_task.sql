-- $1 company of who asks (NULL: any), $2 campaign, $3 task
SELECT rule, passed, detail, passes_at, at, earliest, ahead FROM explain_task($2::uuid, $3::uuid, $1::uuid)
