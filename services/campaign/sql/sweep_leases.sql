-- $1 most calls of one campaign
SELECT refunded, unknown FROM sweep_leases($1::integer)
