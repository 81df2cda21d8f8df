-- $1 nothing. Deleted companies whose calls and figures are still being removed, and those calls.
SELECT count(*) AS companies, coalesce(sum(greatest(d.calls - d.removed, 0)), 0)::bigint AS calls FROM deleted_companies d WHERE $1::bigint >= 0
