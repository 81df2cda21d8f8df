-- One element a task: $1 task, $2 contact_data as they were read, $3 as they shall be. What has been changed meanwhile stays: the next run takes it.
UPDATE call_task_contacts d SET contact_data = u.new::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u(task, old, new) WHERE d.task_id = u.task AND d.contact_data = u.old::jsonb
