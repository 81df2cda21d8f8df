-- $1 company of who asks (NULL: any), $2 company, $3 lists at most. No row: no such company; a row of NULLs: no list.
SELECT l.id, l.company_id, l.valid_from, l.stt_minute, l.llm_million_input_tokens, l.llm_million_output_tokens, l.tts_thousand_characters, l.livekit_minute,
       l.valid_from = max(l.valid_from) FILTER (WHERE l.valid_from <= now()) OVER () AS in_force, l.created_at
FROM companies c LEFT JOIN price_lists l ON l.company_id = c.id
WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.id = $1::uuid)
ORDER BY l.valid_from DESC LIMIT $3::bigint
