-- $1 days that entries are kept, $2 most entries. How many went.
SELECT forget_audit_entries($1::integer, $2::integer)
