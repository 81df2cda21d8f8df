-- $1 company of who asks (NULL: any), $2 company. Whether there is or was one that the caller may see.
SELECT ($1::uuid IS NULL OR $1::uuid = $2::uuid)
   AND (EXISTS (SELECT FROM companies WHERE id = $2::uuid) OR EXISTS (SELECT FROM audit_entries WHERE company_id = $2::uuid)) AS known
