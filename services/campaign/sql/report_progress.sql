-- $1 company of who asks (NULL: any), $2 call, $3 fence, $4 stage: ringing or answered
SELECT verdict, ringing, answered FROM report_progress($2::uuid, $3::bigint, $1::uuid, $4::text)
