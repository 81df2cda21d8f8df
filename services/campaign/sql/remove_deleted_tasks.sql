-- $1 most tasks
SELECT tasks, more FROM remove_deleted_tasks($1::integer)
