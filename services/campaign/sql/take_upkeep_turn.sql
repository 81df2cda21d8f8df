-- $1 period in microseconds
SELECT take_upkeep_turn($1::bigint * interval '1 microsecond')
