-- $1 most changes
SELECT fold_call_figures($1::integer)
