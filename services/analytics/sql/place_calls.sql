-- $1 company of who asks (NULL: any), filters (NULL: all): $2 company, $3 skillbase, $4 campaign, $5 outcome, $6 status; $7 first and $8 last day (UTC);
-- $9 started_at where the last page ended (NULL: from the beginning), $10 rows to skip, $11 rows that are wanted
-- Which stretches of time hold the page, newest first, from the figures: hours, or quarters where an hour may hold many thousand calls. How many calls
-- match in all, and for each stretch how many match in newer ones (`before`; not counted in the one where the last page ended, of which nobody
-- knows how much is left). What has no match is not among them, so a filter that few calls pass, and a page far back, cost what the first page
-- costs. At least one row, for the total. (OFFSET 0 keeps the sums of a day or an hour a subquery of their own, which is looked up by index.)
WITH who AS MATERIALIZED (
    SELECT CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN 4 WHEN $3::uuid IS NOT NULL THEN 3 WHEN $4::uuid IS NOT NULL THEN 2
                WHEN coalesce($1::uuid, $2::uuid) IS NOT NULL THEN 1 ELSE 0 END AS kind,
           CASE WHEN $3::uuid IS NOT NULL AND $4::uuid IS NOT NULL THEN subject_of_pair($4::uuid, $3::uuid)
                ELSE coalesce($3::uuid, $4::uuid, $1::uuid, $2::uuid, '00000000-0000-0000-0000-000000000000') END AS subject
), period AS MATERIALIZED (
    SELECT greatest(coalesce($7::date::timestamp AT TIME ZONE 'UTC', '-infinity'), s.calls_kept_since) AS begins,
           coalesce(($8::date + 1)::timestamp AT TIME ZONE 'UTC', 'infinity') AS ends
    FROM call_storage s
), changes AS MATERIALIZED (
    SELECT f.quarter, sum(f.calls) AS n FROM present_changes f
    WHERE f.quarter >= (SELECT begins FROM period) AND f.quarter < (SELECT ends FROM period)
      AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($3::uuid IS NULL OR f.skillbase_id = $3::uuid)
      AND ($4::uuid IS NULL OR f.campaign_id = $4::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
    GROUP BY f.quarter
), days AS MATERIALIZED (
    SELECT day, sum(n) AS n, CASE WHEN day = date_trunc('day', $9::timestamptz, 'UTC') THEN 0 ELSE sum(n) END AS known
    FROM (
        SELECT f.bucket AS day, f.calls AS n FROM present_sums f
        WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.minutes = 1440
          AND f.bucket >= (SELECT begins FROM period) AND f.bucket < (SELECT ends FROM period)
          AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
      AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
      AND ($5::text IS NULL OR f.outcome = $5::text)
      AND ($6::smallint IS NULL OR f.status = $6::smallint)
        UNION ALL
        SELECT date_trunc('day', quarter, 'UTC'), n FROM changes
    ) parts
    GROUP BY day HAVING sum(n) > 0
), near_days AS MATERIALIZED (
    SELECT day, before FROM (
        SELECT day, n, sum(known) OVER (ORDER BY day DESC) - known AS before FROM days WHERE $9::timestamptz IS NULL OR day <= $9::timestamptz
    ) d
    WHERE before < $10::bigint + $11::bigint AND before + n > $10::bigint
), hours AS (
    SELECT hour, sum(n) AS n, CASE WHEN hour = date_trunc('hour', $9::timestamptz, 'UTC') THEN 0 ELSE sum(n) END AS known
    FROM (
        SELECT f.bucket AS hour, f.calls AS n
        FROM near_days d CROSS JOIN LATERAL (
            SELECT f.bucket, f.calls FROM present_sums f
            WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.minutes = 60
              AND f.bucket >= d.day AND f.bucket < d.day + interval '24 hours'
              AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
              AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
              AND ($5::text IS NULL OR f.outcome = $5::text)
              AND ($6::smallint IS NULL OR f.status = $6::smallint)
            OFFSET 0) f
        UNION ALL
        SELECT date_trunc('hour', c.quarter, 'UTC'), c.n
        FROM near_days d JOIN changes c ON c.quarter >= d.day AND c.quarter < d.day + interval '24 hours'
    ) parts
    GROUP BY hour HAVING sum(n) > 0
), near_hours AS MATERIALIZED (
    SELECT hour, before FROM (
        SELECT hour, n, (SELECT min(before) FROM near_days) + sum(known) OVER (ORDER BY hour DESC) - known AS before
        FROM hours WHERE $9::timestamptz IS NULL OR hour <= $9::timestamptz
    ) h
    WHERE before < $10::bigint + $11::bigint AND before + n > $10::bigint
), quarters AS (
    SELECT quarter, sum(n) AS n, CASE WHEN quarter = quarter_of($9::timestamptz) THEN 0 ELSE sum(n) END AS known
    FROM (
        SELECT f.bucket AS quarter, f.calls AS n
        FROM near_hours h CROSS JOIN LATERAL (
            SELECT f.bucket, f.calls FROM present_sums f
            WHERE f.kind = (SELECT kind FROM who) AND f.subject = (SELECT subject FROM who) AND f.minutes = 15
              AND f.bucket >= h.hour AND f.bucket < h.hour + interval '1 hour'
              AND ($1::uuid IS NULL OR f.company_id = $1::uuid)
              AND ($2::uuid IS NULL OR f.company_id = $2::uuid)
              AND ($5::text IS NULL OR f.outcome = $5::text)
              AND ($6::smallint IS NULL OR f.status = $6::smallint)
            OFFSET 0) f
        WHERE (SELECT kind FROM who) <= 1
        UNION ALL
        SELECT c.quarter, c.n
        FROM near_hours h JOIN changes c ON c.quarter >= h.hour AND c.quarter < h.hour + interval '1 hour'
        WHERE (SELECT kind FROM who) <= 1
    ) parts
    GROUP BY quarter HAVING sum(n) > 0
), near AS (
    SELECT quarter AS at, before, 15 AS minutes FROM (
        SELECT quarter, n, (SELECT min(before) FROM near_hours) + sum(known) OVER (ORDER BY quarter DESC) - known AS before
        FROM quarters WHERE $9::timestamptz IS NULL OR quarter <= $9::timestamptz
    ) q
    WHERE before < $10::bigint + $11::bigint AND before + n > $10::bigint
    UNION ALL
    SELECT hour, before, 60 FROM near_hours WHERE (SELECT kind FROM who) > 1
)
SELECT t.total, n.at, n.before::bigint AS before, n.minutes
FROM (SELECT coalesce(sum(n), 0)::bigint AS total FROM days) t LEFT JOIN near n ON true
ORDER BY n.at DESC
