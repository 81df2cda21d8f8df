-- $1 most calls
SELECT settle_by_records($1::integer)
