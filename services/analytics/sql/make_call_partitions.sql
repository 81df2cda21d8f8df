-- $1 months ahead
SELECT make_call_partitions(now() + make_interval(months => $1::integer))
