-- $1 most rows
SELECT prune_call_index($1::integer)
