COPY call_list_rows (row_number, id, phone_number, contact_name, priority, timezone, contact_data, phone_raw, error_column, error, original) FROM STDIN
