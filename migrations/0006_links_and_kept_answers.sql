-- Answers that may be asked for again, and the links under which a person links a phone.

-- Secrets that are still told on request, each of one token: sealed with the instance's key, deleted when their time is
-- over.
CREATE TABLE kept_secret (
    token_id    uuid PRIMARY KEY REFERENCES api_token (id) ON DELETE CASCADE,
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    sealed      bytea NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX kept_secret_by_instance ON kept_secret (instance_id);
CREATE INDEX kept_secret_by_expiry ON kept_secret (expires_at);

-- One row an idempotency key: first a claim of whoever is at work, then the answer.
CREATE TABLE idempotency_key (
    account_id    uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    key           text NOT NULL CHECK (key ~ '^[!-~]{1,255}$'),
    -- SHA-256 of the operation and its parameters.
    request       bytea NOT NULL CHECK (octet_length(request) = 32),
    claim         uuid NOT NULL,
    -- An unanswered claim is void from then on: its holder died.
    claimed_until timestamptz NOT NULL,
    status        smallint,
    -- Text and not jsonb: it is told again byte for byte. A secret of the answer is not in it.
    body          text,
    -- The token in `kept_secret`; once it is forgotten there, the answer is told without it.
    secret        uuid,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, key),
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX idempotency_key_by_expiry ON idempotency_key (expires_at);

-- What a link token is beside a token. An instance has one open link at most.
CREATE TABLE link (
    token_id    uuid PRIMARY KEY REFERENCES api_token (id) ON DELETE CASCADE,
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    return_url  text,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    -- Since when no new page opens under it: another took its place, or it was ended.
    closed_at   timestamptz,
    -- Since when the instance is linked: from then on the link tells how it stands and does nothing more.
    linked_at   timestamptz
);
CREATE UNIQUE INDEX link_open ON link (instance_id) WHERE closed_at IS NULL;
CREATE INDEX link_by_instance ON link (instance_id);
CREATE INDEX api_token_link_expiry ON api_token (expires_at) WHERE kind = 'link';

-- A link is used up by whatever write makes the instance linked, whichever node or release it comes from: a trigger and
-- not a statement of the writer, which would cost every save of every session a round trip. `since` is the writer's
-- time, as are all times here, and moves with the state that a pairing changes.
CREATE FUNCTION session_uses_up_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE link SET linked_at = NEW.since WHERE instance_id = NEW.instance_id AND linked_at IS NULL;
    UPDATE api_token
    SET expires_at = LEAST(expires_at, NEW.since + interval '10 minutes'), changed_at = clock_timestamp()
    WHERE instance_id = NEW.instance_id AND kind = 'link';
    DELETE FROM kept_secret USING link
    WHERE kept_secret.token_id = link.token_id AND link.instance_id = NEW.instance_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER session_linked AFTER UPDATE OF linked ON session FOR EACH ROW
    WHEN (NEW.linked AND NOT OLD.linked) EXECUTE FUNCTION session_uses_up_links();

-- For the audit log of one instance.
CREATE INDEX audit_log_by_instance ON audit_log (instance_id, id);
