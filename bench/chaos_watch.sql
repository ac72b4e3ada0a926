-- What the database itself writes down of a run under fire. Triggers, so that nothing can happen beside them; in one
-- sequence, so that commands and mirror can be put in order. Only for a benchmark's own database.
CREATE SCHEMA chaos;
CREATE SEQUENCE chaos.order_of_rows;
CREATE TABLE chaos.move (
    n bigint PRIMARY KEY DEFAULT nextval('chaos.order_of_rows'), at float8, transaction bigint, command bigint,
    lane bigint, tenant text, kind text, target text, state text, reason text, fence int, deaths int, owner text,
    lease_until float8, not_before float8);
CREATE TABLE chaos.write (
    n bigint PRIMARY KEY DEFAULT nextval('chaos.order_of_rows'), transaction bigint, tenant text, object text,
    version bigint, canary text);

CREATE TABLE chaos.lane (at float8, lane bigint, not_before float8, suspended text);

CREATE FUNCTION chaos.note_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = chaos, public AS $$
BEGIN
    INSERT INTO chaos.move (at, transaction, command, lane, tenant, kind, target, state, reason, fence, deaths, owner,
                            lease_until, not_before)
    VALUES (extract(epoch FROM clock_timestamp()), txid_current(), NEW.id, NEW.lane_id, coalesce(NEW.tenant_id::text, ''),
            NEW.kind, NEW.target, NEW.state, NEW.reason, NEW.fence, NEW.deaths, NEW.lease_owner,
            coalesce(extract(epoch FROM NEW.lease_until), 0), extract(epoch FROM NEW.not_before));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_move AFTER INSERT OR UPDATE ON replication_command
    FOR EACH ROW EXECUTE FUNCTION chaos.note_move();

CREATE FUNCTION chaos.note_lane() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = chaos, public AS $$
BEGIN
    INSERT INTO chaos.lane VALUES (extract(epoch FROM clock_timestamp()), NEW.id, extract(epoch FROM NEW.not_before),
                                   NEW.suspended_code);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_lane AFTER UPDATE OF not_before, suspended_code ON replication_lane
    FOR EACH ROW EXECUTE FUNCTION chaos.note_lane();

CREATE FUNCTION chaos.note_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = chaos, public AS $$
BEGIN
    INSERT INTO chaos.write (transaction, tenant, object, version, canary)
    VALUES (txid_current(), NEW.tenant_id::text, NEW.object_id::text,
            coalesce(substring(NEW.job_title FROM '^v([0-9]+)$')::bigint, 0),
            coalesce(substring(NEW.company_name FROM '\(reg\. ([0-9A-Z]{10})\)$'), ''));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_write AFTER INSERT OR UPDATE ON directory_user
    FOR EACH ROW EXECUTE FUNCTION chaos.note_write();
