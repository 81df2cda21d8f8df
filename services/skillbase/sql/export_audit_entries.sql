-- $1 company of who asks (NULL: any), $2 company, filters (NULL: all): $3 kind, $4 resource, $5 actor, $6 action, $7 from, $8 to before; $9 and $10 at and id where the
-- last batch ended (NULL: from the beginning). A batch is 500 rows of at most some 32 KB; no row: the end.
SELECT id, company_id, at, actor, address, request_id, kind, resource_id, action, before_change, after_change
FROM audit_entries
WHERE company_id = $2::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
  AND ($3::text IS NULL OR kind = $3::text)
  AND ($4::uuid IS NULL OR resource_id = $4::uuid)
  AND ($5::text IS NULL OR actor = $5::text)
  AND ($6::text IS NULL OR action = $6::text)
  AND at >= greatest($7::timestamptz, '-infinity') AND at < least($8::timestamptz, 'infinity')
  AND (at, id) < (least($9::timestamptz, 'infinity'), least($10::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
ORDER BY at DESC, id DESC
LIMIT 500
