-- $1 calls of a stretch, about. Where to cut the time so that recounting a stretch is one statement of bounded size: the first days of the stretches, oldest
-- first, with their calls. What is before the first belongs to it too. No row: there are no figures at all.
SELECT min(day) AS begins, sum(n)::bigint AS calls
FROM (SELECT day, n, div(sum(n) OVER (ORDER BY day) - n, $1::bigint) AS stretch
      FROM (SELECT f.bucket AS day, greatest(sum(f.calls), 0) AS n FROM call_figure_sums f WHERE f.kind = 0 AND f.minutes = 1440 GROUP BY f.bucket) days) d
GROUP BY stretch ORDER BY begins
