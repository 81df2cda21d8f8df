-- The first of the rows that occurred before, for the answer; $1 how many
SELECT row_number, duplicate_reason(phone_number, first_row) AS reason FROM call_list_duplicates ORDER BY row_number LIMIT $1::bigint
