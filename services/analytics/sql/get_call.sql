-- $1 company of who asks (NULL: any), $2 call
-- A skillbase or campaign that is gone is not named any more. The last five columns are the prices that hold for the call, of a list of the company.
SELECT c.id, c.company_id, s.id AS skillbase_id, c.skillbase_version, k.id AS campaign_id, c.task_id, c.phone_number, c.outcome,
       trunc(extract(epoch FROM coalesce(c.ended_at, c.last_event_at) - c.started_at) * 1000)::bigint AS duration_ms,
       c.turn_count, c.status, c.started_at, c.ended_at, c.last_seq, m.figures, m.cost_stt, m.cost_llm, m.cost_tts, m.cost_livekit, m.cost_total,
       l.stt_minute, l.llm_million_input_tokens, l.llm_million_output_tokens, l.tts_thousand_characters, l.livekit_minute
FROM call_index i
JOIN present_calls c ON c.id = i.call_id AND c.started_at = i.started_at
LEFT JOIN call_metrics m ON m.call_id = i.call_id AND m.started_at = i.started_at
LEFT JOIN skillbases s ON s.id = c.skillbase_id
LEFT JOIN campaigns k ON k.id = c.campaign_id
LEFT JOIN LATERAL (
    SELECT * FROM price_lists p WHERE p.company_id = c.company_id AND p.valid_from <= c.started_at ORDER BY p.valid_from DESC LIMIT 1) l ON true
WHERE i.call_id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
