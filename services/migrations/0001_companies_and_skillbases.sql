-- Companies (the tenants), skillbases (the agents' configurations) and the versions of those.
-- Value rules (lengths, forms, ranges) live in the .proto files and are checked before a statement runs; what is here is what
-- only the database can promise: identity, uniqueness, ownership. Constraints have names because handlers turn them into sentences.

CREATE TABLE companies (
    id          uuid        NOT NULL,
    name        text        NOT NULL,
    slug        text        NOT NULL,
    description text,
    settings    jsonb       NOT NULL DEFAULT '{}',
    limits      jsonb       NOT NULL DEFAULT '{}',
    is_active   boolean     NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT companies_pkey PRIMARY KEY (id),
    -- Also the order of the list: names are unique, so a name alone says where a page ended.
    CONSTRAINT companies_name_key UNIQUE (name),
    CONSTRAINT companies_slug_key UNIQUE (slug)
);
COMMENT ON COLUMN companies.updated_at IS 'strictly grows with every change: the revision that If-Match compares';

CREATE TABLE skillbases (
    id                uuid        NOT NULL,
    company_id        uuid        NOT NULL,
    name              text        NOT NULL,
    slug              text        NOT NULL,
    description       text,
    config            jsonb       NOT NULL,
    -- The same configuration as a serialized dialplane.v1.SkillbaseConfig, so that reading one costs no conversion. A derived copy:
    -- whoever changes config by hand sets this to NULL, and it is converted at every read until it changes.
    config_wire       bytea,
    version           integer     NOT NULL DEFAULT 1,
    knowledge_base_id uuid,
    is_active         boolean     NOT NULL DEFAULT true,
    is_published      boolean     NOT NULL DEFAULT false,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT skillbases_pkey PRIMARY KEY (id),
    CONSTRAINT skillbases_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT skillbases_company_id_slug_key UNIQUE (company_id, slug),
    -- What other tables refer to, so that a row of theirs cannot name a skillbase of another company.
    CONSTRAINT skillbases_id_company_id_key UNIQUE (id, company_id),
    CONSTRAINT skillbases_version_check CHECK (version >= 1)
);
COMMENT ON COLUMN skillbases.updated_at IS 'strictly grows with every change: the revision that If-Match compares';

-- Reading one skillbase is the hottest read there is. Its bytes stay in the row, uncompressed, as long as a page holds them; the jsonb,
-- which only comparisons read, is what gets compressed and moved out.
ALTER TABLE skillbases SET (toast_tuple_target = 8160);
ALTER TABLE skillbases ALTER COLUMN config_wire SET STORAGE MAIN;

-- The orders of the lists: of one company, of all. What else they ask for is included, so that the exact total that each page tells
-- is counted in the index and not over the wide rows.
CREATE INDEX skillbases_company_id_created_at_idx ON skillbases (company_id, created_at DESC, id DESC) INCLUDE (is_active, is_published);
CREATE INDEX skillbases_created_at_idx ON skillbases (created_at DESC, id DESC) INCLUDE (company_id, is_active, is_published);

-- Every configuration that was ever saved, the current one among them.
CREATE TABLE skillbase_versions (
    skillbase_id uuid        NOT NULL,
    version      integer     NOT NULL,
    company_id   uuid        NOT NULL,
    config       jsonb       NOT NULL,
    config_wire  bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT skillbase_versions_pkey PRIMARY KEY (skillbase_id, version),
    CONSTRAINT skillbase_versions_skillbase_id_fkey FOREIGN KEY (skillbase_id, company_id)
        REFERENCES skillbases (id, company_id) ON DELETE CASCADE
);
ALTER TABLE skillbase_versions SET (toast_tuple_target = 8160);
ALTER TABLE skillbase_versions ALTER COLUMN config_wire SET STORAGE MAIN;
