-- $1 days back. Calls under way that began since then: out of the sums per day and what was changed since the last fold.
SELECT coalesce(sum(n), 0)::bigint AS calls
FROM (SELECT f.calls AS n FROM present_sums f
      WHERE f.kind = 0 AND f.subject = '00000000-0000-0000-0000-000000000000' AND f.minutes = 1440 AND f.status = 1
        AND f.bucket >= date_trunc('day', now(), 'UTC') - $1::bigint * interval '1 day'
      UNION ALL
      SELECT f.calls FROM present_changes f WHERE f.status = 1 AND f.quarter >= date_trunc('day', now(), 'UTC') - $1::bigint * interval '1 day') parts
