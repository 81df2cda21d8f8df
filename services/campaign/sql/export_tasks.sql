-- $1 campaign, $2 state, $3 outcome, $4 phone_number (NULL: all), $5 and $6 priority and id where the last batch ended (NULL: from the beginning), $7 the data columns
-- stored: contact_data that are encrypted, whose cells are empty here (contact_vault.h); NULL: they are not.
-- A batch is at most 1,000 rows and about 1 MB; no row: the end.
SELECT priority, id, cells, stored
FROM (
    SELECT p.priority, p.id, p.cells, p.stored, sum(pg_column_size(p.cells) + coalesce(pg_column_size(p.stored), 0)) OVER (ORDER BY p.priority DESC, p.id) - pg_column_size(p.cells) - coalesce(pg_column_size(p.stored), 0) AS before
    FROM (
        SELECT d.priority, d.id,
               ARRAY[d.id::text, d.phone_number, d.contact_name, d.state, d.attempt_count::text, utc_text(d.last_attempt_at), utc_text(d.next_attempt_at),
                     d.call_id::text, d.outcome, d.error_message, d.priority::text, d.timezone, d.phone_text, utc_text(d.created_at), utc_text(d.updated_at)]
               || ARRAY(SELECT d.contact_data ->> n.name FROM unnest($7::text[]) WITH ORDINALITY n (name, place) ORDER BY n.place) AS cells,
               CASE WHEN jsonb_typeof(d.contact_data) <> 'object' THEN d.contact_data END AS stored
        FROM (SELECT id FROM call_tasks
              WHERE campaign_id = $1::uuid AND ($2::text IS NULL OR state = $2::text) AND ($3::text IS NULL OR outcome = $3::text)
                AND ($4::text IS NULL OR phone_number = $4::text)
                AND priority <= least($5::smallint, 32767::smallint) AND ($5::smallint IS NULL OR priority < $5::smallint OR id > $6::uuid)
              ORDER BY priority DESC, id LIMIT 1000) page
            JOIN call_task_details d USING (id)) p) rows
WHERE before < 1000000
ORDER BY priority DESC, id
