-- $1 company of who asks (NULL: any), $2 campaign. The data columns of all uploads, in the order in which they were first seen; no row: no such campaign.
SELECT coalesce((
    SELECT array_agg(name ORDER BY created_at, place)
    FROM (SELECT DISTINCT ON (n.name) n.name, u.created_at, n.place
          FROM call_list_uploads u CROSS JOIN LATERAL unnest(u.columns) WITH ORDINALITY n (name, place)
          WHERE u.campaign_id = c.id ORDER BY n.name, u.created_at, n.place) names), '{}') AS columns
FROM campaigns c WHERE c.id = $2::uuid AND ($1::uuid IS NULL OR c.company_id = $1::uuid)
