-- $1 company of who asks (NULL: any), $2 call
SELECT m.figures, m.cost_stt, m.cost_llm, m.cost_tts, m.cost_livekit, m.cost_total
FROM call_index i JOIN call_metrics m ON m.call_id = i.call_id AND m.started_at = i.started_at
WHERE i.call_id = $2::uuid AND ($1::uuid IS NULL OR i.company_id = $1::uuid)
      AND i.company_id <> ALL (ARRAY(SELECT d.company_id FROM deleted_companies d))
