-- $1 most changes
SELECT fold_counts($1::integer)
