-- As list_skillbases.sql, of one company: a statement of its own so that the plan can rely on the index by company.
-- $1 company of who asks (NULL: any), $2 to $8 as there, $9 company_id
-- A page ends early when its configurations are more than $8 bytes, so that no answer outgrows what clients take; `fetched` tells
-- that more follows.
WITH page AS (
    SELECT s.*, row_number() OVER w AS place,
           sum(coalesce(octet_length(config_wire), octet_length(config::text))) OVER w AS bytes
    FROM (
        SELECT * FROM skillbases
        WHERE company_id = $9::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
          AND ($2::boolean IS NULL OR is_active = $2::boolean)
          AND ($3::boolean IS NULL OR is_published = $3::boolean)
          AND (created_at, id) < (least($4::timestamptz, 'infinity'),
                                  least($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY created_at DESC, id DESC
        OFFSET $6::bigint LIMIT $7::bigint + 1
    ) s
    WINDOW w AS (ORDER BY created_at DESC, id DESC)
), total AS (
    SELECT count(*) AS total FROM skillbases
    WHERE company_id = $9::uuid AND ($1::uuid IS NULL OR company_id = $1::uuid)
      AND ($2::boolean IS NULL OR is_active = $2::boolean)
      AND ($3::boolean IS NULL OR is_published = $3::boolean)
)
SELECT id, company_id, name, slug, description, version, knowledge_base_id, is_active, is_published, created_at, updated_at,
       config_wire, CASE WHEN config_wire IS NULL THEN config END AS config,
       total, (SELECT count(*) FROM page) AS fetched
FROM total LEFT JOIN page ON place <= $7::bigint AND (place = 1 OR bytes <= $8::bigint)
ORDER BY place
