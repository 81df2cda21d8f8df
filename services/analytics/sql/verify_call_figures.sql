-- $1 most differences
SELECT what, which, kept, counted FROM verify_call_figures($1::integer)
