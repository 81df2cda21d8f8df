COPY call_list_rows (id, phone_number, contact_name, priority, timezone, contact_data) FROM STDIN
