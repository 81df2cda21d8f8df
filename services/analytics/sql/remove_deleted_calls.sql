-- $1 most calls
SELECT gone_calls, gone_companies, more FROM remove_deleted_calls($1::integer)
