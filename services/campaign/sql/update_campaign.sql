-- $1 id, $2 updated_at of the row that the new values were made from, $3 name, $4 description, $5 start_time, $6 end_time, $7 daily_start_time,
-- $8 daily_end_time, $9 timezone, $10 days_of_week, $11 max_concurrent_calls, $12 calls_per_minute, $13 max_retries, $14 retry_delay_minutes,
-- $15 on_unknown, $16 a Campaign as JSON with its retry_policy, $17 default_region
-- No row when the campaign has changed meanwhile, or is gone: read it again. What waits for the window is looked at anew.
WITH locked AS MATERIALIZED (
    SELECT campaign_id FROM campaign_pacing WHERE campaign_id = $1::uuid FOR UPDATE
), changed AS (
    UPDATE campaigns c
    SET name = $3::text, description = $4::text, start_time = $5::timestamptz, end_time = $6::timestamptz, daily_start_time = $7::time,
        daily_end_time = $8::time, timezone = $9::text, days_of_week = string_to_array($10::text, ',')::smallint[],
        max_concurrent_calls = $11::integer, calls_per_minute = $12::integer, max_retries = $13::integer, retry_delay_minutes = $14::integer,
        on_unknown = $15::text, retry_policy = coalesce($16::jsonb -> 'retry_policy', '{}'),
        default_region = $17::text,
        updated_at = greatest(dispatch_now(), c.updated_at + interval '1 microsecond')
    FROM locked
    WHERE c.id = locked.campaign_id AND c.updated_at = $2::timestamptz AND (now() AT TIME ZONE $9::text) IS NOT NULL
    RETURNING c.id
), woken AS (
    UPDATE campaign_pacing p SET idle_until = '-infinity' FROM changed WHERE p.campaign_id = changed.id
), looked_at_anew AS (
    UPDATE call_tasks t SET ready_at = dispatch_now() FROM changed WHERE t.campaign_id = changed.id AND t.waiting AND t.waiting_for = 'window'
)
SELECT id FROM changed
