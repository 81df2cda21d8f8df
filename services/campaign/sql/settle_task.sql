-- $1 company of who asks (NULL: any), $2 campaign, $3 task, $4 call (NULL: the last), $5 disposition, $6 outcome, $7 note
SELECT settle_unknown($2::uuid, $3::uuid, $1::uuid, $4::uuid, $5::text, $6::text, $7::text, 'person')
