-- $1 how often one that is safe is begun
SELECT failed, again FROM sweep_uploads($1::integer)
