-- API keys for machines, and tickets for streams. Both are 256 random bits: stored is their SHA-256, by which they are recognised and from which
-- nobody can make them again.

create table api_keys (
    id uuid primary key,
    company_id uuid not null references companies (id) on delete cascade,
    name text not null,
    -- Words of dialplane.Role. 'platform' stands alone: such a key works across companies, and still goes with the one it was made in.
    roles text[] not null,
    prefix text not null, -- the beginning of the key: how it is found, and known in logs
    secret_hash bytea not null,
    expires_at timestamptz, -- null: never
    created_by text not null, -- the subject of a token, or the prefix of another key
    created_at timestamptz not null,
    constraint api_keys_prefix_key unique (prefix),
    constraint api_keys_secret_hash_check check (octet_length(secret_hash) = 32),
    constraint api_keys_roles_check check (
        cardinality(roles) > 0 and roles <@ array['platform', 'admin', 'manager', 'viewer', 'agent']
        and (cardinality(roles) = 1 or not 'platform' = any (roles)))
);
create index api_keys_newest on api_keys (company_id, created_at desc, id desc);

-- Apart from api_keys, whose rows change only when somebody changes them.
create table api_key_uses (
    api_key_id uuid primary key references api_keys (id) on delete cascade,
    company_id uuid not null,
    last_used_at timestamptz not null
);

-- What the ticket's maker had shown, for one stream. Using a ticket deletes it; those that were never used go when the next ones are made.
create table ws_tickets (
    ticket_hash bytea primary key,
    subject text not null,
    company_id uuid references companies (id) on delete cascade, -- null: every company
    roles text[] not null,
    principal_expires_at timestamptz, -- of what its maker had shown; null: never
    api_key_id uuid references api_keys (id) on delete cascade, -- that its maker had shown; null: a token
    expires_at timestamptz not null,
    constraint ws_tickets_ticket_hash_check check (octet_length(ticket_hash) = 32)
);
create index ws_tickets_over on ws_tickets (expires_at);
create index ws_tickets_company on ws_tickets (company_id);
create index ws_tickets_api_key on ws_tickets (api_key_id) where api_key_id is not null;
