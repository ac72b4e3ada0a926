#!/bin/sh
# Runs once, after roles.sql, when PostgreSQL makes its data: gives the two login roles their passwords.
# psql reads them from the secrets itself, so that they stand in no command line.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set owner_password `cat /run/secrets/ump_owner_password`
\set app_password `cat /run/secrets/ump_app_password`
ALTER ROLE ump_owner PASSWORD :'owner_password';
ALTER ROLE ump_app PASSWORD :'app_password';
SQL
