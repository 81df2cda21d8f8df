-- $1 company of who asks (NULL: any), $2 call, $3 fence, $4 lease in microseconds
SELECT verdict, lease_until, status FROM begin_dial($2::uuid, $3::bigint, $1::uuid, $4::bigint * interval '1 microsecond')
