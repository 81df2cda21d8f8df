-- Row-level security: one company never sees or changes another's rows, even where a statement of ours forgets to ask for the company.
--
-- Who is who
--   the login role        whoever --database-url names: owns the schema, migrates it, makes and drops partitions. Row-level security does not bind an owner
--                         (or a superuser), so statements do not run as this one.
--   <prefix>_company      as which everything runs that a caller of one company has asked for. Sees the rows of the company that the connection was
--                         told (dialplane.company), and none when it was told nothing.
--   <prefix>_service      as which the rest runs: callers who work across companies, and work of our own. All rows, but nothing of the schema.
-- Two roles and not one with a condition, so that work of our own, dispatch above all, pays nothing: `using (true)` is gone before a statement is planned.
--
-- Every table is guarded by guard_tables(), from what it finds; it refuses a table of which nobody has said whose its rows are. A migration that makes tables,
-- views or trigger functions ends with `select guard_tables();`.

-- Which roles these are, in this database. They belong to the whole server, which may have several installations: --database-roles names them.
create table database_roles (
    kind text primary key check (kind in ('company', 'service')),
    name name not null
);

do $$
declare
    v_prefix text := coalesce(nullif(current_setting('dialplane.roles', true), ''), 'dialplane');
    v_kind text;
    v_role text;
begin
    foreach v_kind in array array['company', 'service'] loop
        v_role := v_prefix || '_' || v_kind;
        if not exists (select from pg_roles where rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
                if not (select rolsuper from pg_roles where rolname = current_user) then
                    execute format('grant %I to current_user', v_role);
                end if;
            exception
                when duplicate_object or unique_violation then
                    null; -- the migration of another database on this server was faster
                when insufficient_privilege then
                    raise exception '%', format(
                        'the database user %1$I may not create roles: let an administrator run: create role %2$I nologin; create role %3$I nologin; grant %2$I, %3$I to %1$I',
                        current_user, v_prefix || '_company', v_prefix || '_service');
            end;
        end if;
        -- Somebody else's are not taken: whoever may be that role would see what is in his database.
        if not pg_has_role(current_user, v_role, 'member') then
            raise exception '%', format(
                'the role %1$I belongs to another installation on this database server: choose other names with --database-roles, or let an administrator run: grant %2$I, %3$I to %4$I',
                v_role, v_prefix || '_company', v_prefix || '_service', current_user);
        end if;
        insert into database_roles values (v_kind, v_role);
    end loop;
end $$;

-- The company that the connection has been told. In policies as (select own_company()), which is asked once for a statement and not for each row.
create function own_company() returns uuid
language sql stable parallel safe as $$
    select nullif(current_setting('dialplane.company', true), '')::uuid
$$;

-- What guard_tables() cannot see for itself. of_company: whose a row is, as an expression over its table; null: nobody's in particular. A table that has a column
-- company_id, and that both roles may write, needs no line. An expression that names another row by its key looks that up for each row that is read: give what
-- is read by the thousand a company_id instead. company_may, service_may: the rights of the two roles; null: none.
create function table_rules() returns table (name text, of_company text, company_may text, service_may text)
language sql immutable as $$
    values ('companies', 'id', 'select, insert, update, delete', 'select, insert, update, delete'),
           ('call_events', '(select i.company_id from call_index i where i.call_id = call_events.call_id)', 'select, insert, update, delete', 'select, insert, update, delete'),
           ('call_metrics', '(select i.company_id from call_index i where i.call_id = call_metrics.call_id)', 'select, insert, update, delete', 'select, insert, update, delete'),
           ('call_list_upload_chunks', '(select u.company_id from call_list_uploads u where u.id = call_list_upload_chunks.upload_id)',
                'select, insert, update, delete', 'select, insert, update, delete'),
           ('call_list_upload_errors', '(select u.company_id from call_list_uploads u where u.id = call_list_upload_errors.upload_id)',
                'select, insert, update, delete', 'select, insert, update, delete'),
           ('campaign_counts', '(select c.company_id from campaigns c where c.id = campaign_counts.campaign_id)',
                'select', 'select, insert, update, delete'),
           ('campaign_count_changes', '(select c.company_id from campaigns c where c.id = campaign_count_changes.campaign_id)',
                'select', 'select, insert, update, delete'),
           ('audit_entries', 'company_id', 'select, insert', 'select, insert'), -- append-only
           ('disposition_rules', null, 'select', 'select'),
           ('call_storage', null, 'select', 'select, update'),
           ('upkeep_turn', null, null, 'select, insert, update'),
           ('database_roles', null, null, 'select'),
           ('dialplane_migration', null, null, 'select')
$$;

-- Roles' rights and policies on everything in the schema; may run any number of times.
create function guard_tables() returns void
language plpgsql as $$
declare
    v_schema name := current_schema();
    v_company name := (select d.name from database_roles d where kind = 'company');
    v_service name := (select d.name from database_roles d where kind = 'service');
    v_all text;
    r record;
begin
    select format('%I, %I', v_company, v_service) into v_all;
    execute format('grant usage on schema %I to %s', v_schema, v_all);
    execute format('grant usage, select on all sequences in schema %I to %s', v_schema, v_all);
    execute format('grant execute on all functions in schema %I to %s', v_schema, v_all);
    if not (has_database_privilege(v_company, current_database(), 'TEMPORARY') and has_database_privilege(v_service, current_database(), 'TEMPORARY')) then
        execute format('grant temporary on database %I to %s', current_database(), v_all);
    end if;

    for r in
        select c.relname as name, coalesce(u.of_company, case when u.name is null then 'company_id' end) as of_company,
               case when u.name is null then 'select, insert, update, delete' else u.company_may end as company_may,
               case when u.name is null then 'select, insert, update, delete' else u.service_may end as service_may,
               u.name is null and a.attname is null as is_unknown
        from pg_class c
            left join table_rules() u on u.name = c.relname
            left join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped
        where c.relnamespace = v_schema::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    loop
        if r.is_unknown then
            raise exception 'table % has no column company_id: say in table_rules() whose its rows are', r.name;
        end if;
        -- Partitions have no rights of their own: they are reached through their table, or not at all.
        execute format('revoke all on %I from %s', r.name, v_all);
        if r.company_may is not null then
            execute format('grant %s on %I to %I', r.company_may, r.name, v_company);
        end if;
        if r.service_may is not null then
            execute format('grant %s on %I to %I', r.service_may, r.name, v_service);
        end if;
        if r.of_company is not null then
            execute format('alter table %I enable row level security', r.name);
            execute format('drop policy if exists own_company on %I', r.name);
            execute format('drop policy if exists every_company on %I', r.name);
            execute format('create policy own_company on %I to %I using (%s = (select own_company())) with check (%s = (select own_company()))',
                           r.name, v_company, r.of_company, r.of_company);
            execute format('create policy every_company on %I to %I using (true) with check (true)', r.name, v_service);
        end if;
    end loop;

    -- A view shows what whoever asks may see, not what its owner may.
    for r in select c.relname as name from pg_class c where c.relnamespace = v_schema::regnamespace and c.relkind = 'v' loop
        execute format('alter view %I set (security_invoker = true)', r.name);
        execute format('grant select on %I to %s', r.name, v_all);
    end loop;

    -- Trigger functions keep the books about rows that have been let through already; what they find there may be no longer, or not yet, the company's to see:
    -- the counts of a campaign that has just been deleted. They can be called in no other way.
    for r in
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace = v_schema::regnamespace and p.prorettype = 'trigger'::regtype and not p.prosecdef
    loop
        execute format('alter function %s security definer set search_path = %I, pg_temp', r.name, v_schema);
    end loop;
end $$;

select guard_tables();
