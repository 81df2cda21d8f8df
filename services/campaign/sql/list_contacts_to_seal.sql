-- $1 task where the last batch ended, $2 tasks at most
SELECT d.task_id, t.campaign_id, t.phone_number, d.contact_data::text
FROM call_task_contacts d JOIN call_tasks t ON t.id = d.task_id WHERE d.task_id > $1::uuid ORDER BY d.task_id LIMIT $2::bigint
