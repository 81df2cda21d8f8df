-- What API keys and tickets may besides their roles: words of dialplane.v1.ApiKeyGrant, as in the claim `grants` of a token. What was made before has none, and so has
-- what an instance of the version before still makes.

alter table api_keys
    add column grants text[] not null default '{}',
    add constraint api_keys_grants_check check (grants <@ array['phones']);
-- Those of the ticket's maker.
alter table ws_tickets
    add column grants text[] not null default '{}',
    add constraint ws_tickets_grants_check check (grants <@ array['phones']);
