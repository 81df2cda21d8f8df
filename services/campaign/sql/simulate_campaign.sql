-- $1 company of who asks (NULL: any), $2 campaign, $3 from when on (NULL: now), $4 seconds of an answered call, $5 of another, $6 share answered, $7 time for it
-- in milliseconds
SELECT start_at, finishes_at, contacts, suppressed, without_attempts, outside_window, calls, answered, exhausted, left_over, calls_per_hour, peak, extrapolated
FROM simulate_campaign($2::uuid, $1::uuid, $3::timestamptz, $4::double precision, $5::double precision, $6::double precision,
                       $7::integer * interval '1 millisecond')
