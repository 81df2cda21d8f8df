-- $1 and $2 the stretch of time [from, until), whole UTC days (NULL: without end), $3 most differences
SELECT what, which, kept, counted FROM verify_call_figures($1::timestamptz, $2::timestamptz, $3::bigint)
