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
                    raise exception 'the database user "%" may not create roles: let an administrator of the server give it that right (alter role %I createrole), or run: create role %I nologin; create role %I nologin; grant %I, %I to %I',
                        current_user, current_user, v_prefix || '_company', v_prefix || '_service', v_prefix || '_company', v_prefix || '_service', current_user;
            end;
        end if;
        -- Somebody else's are not taken: whoever may be that role would see what is in his database.
        if not pg_has_role(current_user, v_role, 'member') then
            raise exception 'the role "%" belongs to another installation on this database server: choose other names with --database-roles, or let an administrator run: grant %I, %I to %I',
                v_role, v_prefix || '_company', v_prefix || '_service', current_user;
        end if;
        insert into database_roles values (v_kind, v_role);
    end loop;
end $$;

-- The company that the connection has been told. In policies as (select own_company()), which is asked once for a statement and not for each row.
create function own_company() returns uuid
language sql stable parallel safe as $$
    select nullif(current_setting('dialplane.company', true), '')::uuid
$$;

-- The company of a row, as an expression over table p_table; null: the rows are no company's; no row: nobody has said so.
-- A table that has company_id needs no line. Others name the row that says it by its key: such a row is looked up for each row that is read, so give what is
-- read by the thousand a company_id instead.
create function company_expressions() returns table (name text, expression text)
language sql immutable as $$
    values ('companies', 'id'),
           ('call_events', '(select i.company_id from call_index i where i.call_id = call_events.call_id)'),
           ('call_metrics', '(select i.company_id from call_index i where i.call_id = call_metrics.call_id)'),
           ('call_list_upload_chunks', '(select u.company_id from call_list_uploads u where u.id = call_list_upload_chunks.upload_id)'),
           ('call_list_upload_errors', '(select u.company_id from call_list_uploads u where u.id = call_list_upload_errors.upload_id)'),
           ('campaign_counts', '(select c.company_id from campaigns c where c.id = campaign_counts.campaign_id)'),
           ('campaign_count_changes', '(select c.company_id from campaigns c where c.id = campaign_count_changes.campaign_id)'),
           -- no company's; those of one company may read them
           ('disposition_rules', null),
           ('call_storage', null)
$$;
-- Tables that those of one company have nothing to do with.
create function tables_of_ours() returns setof text
language sql immutable as $$
    values ('dialplane_migration'), ('database_roles'), ('upkeep_turn')
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
        select c.relname as name, coalesce(e.expression, case when a.attname is not null then 'company_id' end) as expression,
               e.name is null and a.attname is null as is_unknown, o.name is not null as is_ours,
               (select array_agg(p.polname) from pg_policy p where p.polrelid = c.oid) as policies
        from pg_class c
            left join company_expressions() e on e.name = c.relname
            left join tables_of_ours() o (name) on o.name = c.relname
            left join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped
        where c.relnamespace = v_schema::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    loop
        -- Partitions have no rights of their own: they are reached through their table, or not at all.
        execute format('grant select, insert, update, delete on %I to %I', r.name, v_service);
        if r.is_ours then
            continue;
        elsif r.is_unknown then
            raise exception 'table % has no column company_id: say in company_expressions() whose its rows are, or in tables_of_ours() that nobody of a company has to do with it', r.name;
        elsif r.expression is null then
            execute format('grant select on %I to %I', r.name, v_company);
            continue;
        end if;
        execute format('grant select, insert, update, delete on %I to %I', r.name, v_company);
        execute format('alter table %I enable row level security', r.name);
        if r.policies is null or not 'own_company' = any (r.policies) then
            execute format('create policy own_company on %I to %I using (%s = (select own_company())) with check (%s = (select own_company()))',
                           r.name, v_company, r.expression, r.expression);
        end if;
        if r.policies is null or not 'every_company' = any (r.policies) then
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
