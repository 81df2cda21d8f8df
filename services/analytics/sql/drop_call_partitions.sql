-- $1 and $2 days for which calls and turns are kept (NULL: for ever)
SELECT drop_call_partitions(now() - make_interval(days => $1::integer), now() - make_interval(days => $2::integer))
