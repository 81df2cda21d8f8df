-- Where the rows of one upload wait for its end, good and bad: of a bad one only row_number, error_column, error and original. Temporary: not in the log, gone
-- with the transaction.
CREATE TEMPORARY TABLE call_list_rows (
    row_number bigint, id uuid, phone_number text, contact_name text, priority smallint, timezone text, contact_data jsonb, phone_raw text,
    error_column text, error text, original text
) ON COMMIT DROP
