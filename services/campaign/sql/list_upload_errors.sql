-- $1 upload, $2 row where the last batch ended; no row: the end. The content, kept as a JSON array of cells, becomes CSV in one cell; quoting that again is for who
-- writes the line. stored: content that is encrypted, which is empty there.
SELECT e.row_number,
       ARRAY[e.row_number::text, e.column_name, e.reason,
             (SELECT string_agg(CASE WHEN c.cell ~ '[",;\t\r\n]' THEN '"' || replace(c.cell, '"', '""') || '"' ELSE c.cell END, ',' ORDER BY c.place)
              FROM jsonb_array_elements_text(CASE WHEN e.content LIKE '[%' THEN e.content::jsonb END) WITH ORDINALITY c (cell, place))] AS cells,
       CASE WHEN e.content NOT LIKE '[%' THEN e.content END AS stored
FROM call_list_upload_errors e WHERE e.upload_id = $1::uuid AND e.row_number > $2::bigint ORDER BY e.row_number LIMIT 50
