-- The three roles of the portal, run as superuser while connected to the portal's database.
-- May be run again at any time. Passwords are given by whoever starts the server, never here.
--
--   ump_owner  owns the schema, migrates and dumps; BYPASSRLS, since with FORCE its data migrations would see no rows
--   ump_app    web and worker; owns nothing and passes no policy
--   ump_every  "every tenant": entered by SET LOCAL ROLE only, so that no policy needs an OR (which costs the index)

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['ump_owner', 'ump_app', 'ump_every'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I', role_name);
        END IF;
    END LOOP;
END
$$;

ALTER ROLE ump_owner WITH LOGIN CREATEDB BYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION;
ALTER ROLE ump_app WITH LOGIN NOCREATEDB NOBYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION;
ALTER ROLE ump_every WITH NOLOGIN NOCREATEDB NOBYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION;

-- INHERIT FALSE: membership alone gives nothing; the wider sight must be asked for by name.
GRANT ump_every TO ump_app WITH INHERIT FALSE, SET TRUE;
-- The owner may take either part, to test in its own databases what the two may see.
GRANT ump_every TO ump_owner WITH INHERIT FALSE, SET TRUE;
GRANT ump_app TO ump_owner WITH INHERIT FALSE, SET TRUE;

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO ump_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    -- TEMPORARY: replication copies pages into a temporary table before it compares.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO ump_app', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO ump_app, ump_every;
GRANT USAGE, CREATE ON SCHEMA public TO ump_owner;
