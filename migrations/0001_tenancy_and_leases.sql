-- Accounts, tokens, instances, their sessions, who owns them, and who did what.

CREATE TABLE account (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL,
    require_header_auth boolean NOT NULL DEFAULT false,
    allow_get_control   boolean NOT NULL DEFAULT false,
    max_instances       integer CHECK (max_instances >= 0),
    created_at          timestamptz NOT NULL,
    deleted_at          timestamptz
);

CREATE TABLE instance (
    id         text PRIMARY KEY CHECK (id ~ '^[0-9A-HJKMNP-TV-Z]{12}$'),
    account_id uuid NOT NULL REFERENCES account (id),
    name       text NOT NULL,
    metadata   jsonb NOT NULL DEFAULT '{}',
    config     jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL
);
CREATE INDEX instance_by_account ON instance (account_id, created_at, id);

-- Ids that were deleted: an id is never issued again.
CREATE TABLE retired_instance (
    id         text PRIMARY KEY,
    retired_at timestamptz NOT NULL
);

-- Tokens are kept as SHA-256 of their text and their last four characters.
CREATE TABLE api_token (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('operator', 'account', 'instance', 'link')),
    account_id  uuid REFERENCES account (id),
    instance_id text REFERENCES instance (id) ON DELETE CASCADE,
    hash        bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    last4       text NOT NULL,
    scopes      text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    revoked_at  timestamptz,
    CHECK ((kind = 'operator') = (account_id IS NULL)),
    CHECK ((kind IN ('instance', 'link')) = (instance_id IS NOT NULL))
);
CREATE INDEX api_token_by_account ON api_token (account_id);
CREATE INDEX api_token_by_instance ON api_token (instance_id);
-- What a node reads every few seconds to drop revoked tokens from its memory.
CREATE INDEX api_token_revoked ON api_token (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE session (
    instance_id text PRIMARY KEY REFERENCES instance (id) ON DELETE CASCADE,
    desired     text NOT NULL CHECK (desired IN ('running', 'stopped')),
    status      text NOT NULL,
    reason      text,
    since       timestamptz NOT NULL,
    linked      boolean NOT NULL DEFAULT false,
    -- Who it is linked to, encrypted with the instance's key: it holds a phone number.
    profile     bytea,
    retry_at    timestamptz
);
CREATE INDEX session_desired_running ON session (instance_id) WHERE desired = 'running';

-- An id lives for one boot of one node.
CREATE TABLE node (
    id         uuid PRIMARY KEY,
    addr       text NOT NULL,
    name       text NOT NULL,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    draining   boolean NOT NULL DEFAULT false
);

-- Who may write an instance's state. Every writing transaction updates or locks this row first, naming node and epoch.
CREATE TABLE instance_lease (
    instance_id text PRIMARY KEY REFERENCES instance (id) ON DELETE CASCADE,
    shard       smallint NOT NULL CHECK (shard >= 0 AND shard < 4096),
    node_id     uuid,
    epoch       bigint NOT NULL DEFAULT 0,
    event_seq   bigint NOT NULL DEFAULT 0
);
CREATE INDEX instance_lease_by_node ON instance_lease (node_id);

-- Append-only: who did what, when. A row outlives its instance.
CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    account_id  uuid,
    instance_id text,
    actor       text NOT NULL,
    actor_last4 text,
    address     text,
    action      text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_by_account ON audit_log (account_id, id);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();

-- Secrets at rest. Each instance has a key of its own, wrapped by a key-encryption key from outside the database.
CREATE TABLE vault_canary (
    kek_id     text PRIMARY KEY,
    nonce      bytea NOT NULL,
    ciphertext bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE instance_key (
    instance_id text PRIMARY KEY REFERENCES instance (id) ON DELETE CASCADE,
    kek_id      text NOT NULL REFERENCES vault_canary (kek_id),
    wrapped     bytea NOT NULL
);
