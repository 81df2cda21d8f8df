-- $1 company of who asks (NULL: any), $2 id, $3 company_id, $4 skillbase_id, $5 name, $6 description, $7 start_time, $8 end_time, $9 daily_start_time,
-- $10 daily_end_time, $11 timezone, $12 days_of_week ("1,2,5"), $13 max_concurrent_calls, $14 calls_per_minute, $15 max_retries, $16 retry_delay_minutes,
-- $17 on_unknown, $18 a Campaign as JSON with its retry_policy, $19 default_region
-- No row when the company is not the caller's own: for the caller it does not exist.
WITH made AS (
    INSERT INTO campaigns (id, company_id, skillbase_id, name, description, start_time, end_time, daily_start_time, daily_end_time, timezone,
                           days_of_week, max_concurrent_calls, calls_per_minute, max_retries, retry_delay_minutes, on_unknown, retry_policy,
                           default_region, created_at, updated_at)
    SELECT $2::uuid, $3::uuid, $4::uuid, $5::text, $6::text, $7::timestamptz, $8::timestamptz, $9::time, $10::time, $11::text,
           string_to_array($12::text, ',')::smallint[], $13::integer, $14::integer, $15::integer, $16::integer, $17::text,
           coalesce($18::jsonb -> 'retry_policy', '{}'), $19::text, t.now, t.now
    FROM (SELECT dispatch_now() AS now OFFSET 0) t
    -- A zone that the database does not know would stop every claim of the campaign.
    WHERE ($1::uuid IS NULL OR $1::uuid = $3::uuid) AND (t.now AT TIME ZONE $11::text) IS NOT NULL
    RETURNING id, company_id, created_at
), paced AS (
    INSERT INTO campaign_pacing (campaign_id, company_id, refilled_at) SELECT id, company_id, created_at FROM made
)
SELECT id FROM made
