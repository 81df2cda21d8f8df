-- $1 id
-- Not scoped: it is asked before anybody knows who asks, and only whether the company that a token names is there.
SELECT true FROM companies WHERE id = $1::uuid
