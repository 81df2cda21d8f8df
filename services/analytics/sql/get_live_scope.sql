-- $1 company of who asks (NULL: any); one of $2 company, $3 campaign, $4 skillbase
SELECT company_id, name
FROM (SELECT id AS company_id, name FROM companies WHERE id = $2::uuid
      UNION ALL SELECT company_id, name FROM campaigns WHERE id = $3::uuid
      UNION ALL SELECT company_id, name FROM skillbases WHERE id = $4::uuid) s
WHERE $1::uuid IS NULL OR company_id = $1::uuid
