-- $1 company of who asks (NULL: any), $2 company, $3 valid from (NULL: now), $4..$8 the prices, $9 lists at most. No row: no such company; a row of NULLs: too many.
WITH company AS (
    SELECT c.id, (SELECT count(*) FROM price_lists l WHERE l.company_id = c.id AND l.valid_from <> coalesce($3::timestamptz, now())) AS lists
    FROM companies c WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.id = $1::uuid)
), stored AS (
    INSERT INTO price_lists (company_id, valid_from, stt_minute, llm_million_input_tokens, llm_million_output_tokens, tts_thousand_characters, livekit_minute)
    SELECT id, coalesce($3::timestamptz, now()), $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint FROM company WHERE lists < $9::bigint
    ON CONFLICT (company_id, valid_from) DO UPDATE
    SET stt_minute = excluded.stt_minute, llm_million_input_tokens = excluded.llm_million_input_tokens,
        llm_million_output_tokens = excluded.llm_million_output_tokens, tts_thousand_characters = excluded.tts_thousand_characters,
        livekit_minute = excluded.livekit_minute, created_at = excluded.created_at
    RETURNING *
)
SELECT s.id, s.company_id, s.valid_from, s.stt_minute, s.llm_million_input_tokens, s.llm_million_output_tokens, s.tts_thousand_characters, s.livekit_minute,
       s.valid_from <= now() AND NOT EXISTS (SELECT FROM price_lists l WHERE l.company_id = s.company_id AND l.valid_from > s.valid_from AND l.valid_from <= now())
           AS in_force, s.created_at
FROM company c LEFT JOIN stored s ON s.company_id = c.id
