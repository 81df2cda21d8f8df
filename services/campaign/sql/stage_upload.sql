-- Where the rows of one upload wait for its end. Temporary: not in the log, gone with the transaction.
CREATE TEMPORARY TABLE call_list_rows (
    id uuid, phone_number text, contact_name text, priority smallint, timezone text, contact_data jsonb
) ON COMMIT DROP
