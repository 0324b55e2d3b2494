-- Webhooks: what an account's own servers are told, and how far each of them has been told it.

-- A key of the account's own, for what is the account's and no instance's; wrapped as an instance's key is.
CREATE TABLE account_key (
    account_id uuid PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    kek_id     text NOT NULL REFERENCES vault_canary (kek_id),
    wrapped    bytea NOT NULL
);

CREATE TABLE webhook_endpoint (
    id              uuid PRIMARY KEY,
    account_id      uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    -- NULL: every instance of the account, those to come included.
    instance_id     text REFERENCES instance (id) ON DELETE CASCADE,
    -- The one that /v2/session/webhook shows and sets.
    of_session      boolean NOT NULL DEFAULT false,
    -- Sealed with the account's key: address, headers, secrets.
    sealed          bytea NOT NULL,
    -- The kinds that are told; none named is all of them.
    events          text[] NOT NULL,
    delivery_order  text NOT NULL CHECK (delivery_order IN ('strict', 'relaxed')),
    created_at      timestamptz NOT NULL,
    disabled_at     timestamptz,
    disabled_reason text,
    -- Since when every delivery fails.
    failing_since   timestamptz,
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CHECK (instance_id IS NOT NULL OR NOT of_session)
);
CREATE INDEX webhook_endpoint_by_account ON webhook_endpoint (account_id, created_at, id);
CREATE INDEX webhook_endpoint_by_instance ON webhook_endpoint (instance_id);
CREATE UNIQUE INDEX webhook_endpoint_of_session ON webhook_endpoint (instance_id) WHERE of_session;

-- How far an endpoint was told the log of one instance. A claim is void once it has run out or its node is gone; its
-- number grows with every claim, so that a former claimant can no longer write.
CREATE TABLE webhook_stream (
    endpoint_id   uuid NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
    instance_id   text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    -- Everything up to this number was delivered, is not wanted, or was set aside.
    acknowledged  bigint NOT NULL,
    -- Failed attempts at the next event, and when the first of them was.
    attempts      integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at        timestamptz NOT NULL DEFAULT to_timestamp(0),
    claim         bigint NOT NULL DEFAULT 0,
    claimed_by    uuid,
    claimed_until timestamptz,
    PRIMARY KEY (endpoint_id, instance_id)
);
CREATE INDEX webhook_stream_by_instance ON webhook_stream (instance_id);

-- A new instance is told to the endpoints of its whole account: a trigger, because the release before this one creates
-- instances too while both run.
CREATE FUNCTION webhook_follow_instance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_stream (endpoint_id, instance_id, acknowledged)
    SELECT e.id, NEW.instance_id, NEW.event_seq
    FROM instance i JOIN webhook_endpoint e ON e.account_id = i.account_id AND e.instance_id IS NULL
    WHERE i.id = NEW.instance_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER instance_lease_followed AFTER INSERT ON instance_lease
    FOR EACH ROW EXECUTE FUNCTION webhook_follow_instance();

-- Events that are delivered beside their stream: those it went on without, and those to be told again.
CREATE TABLE webhook_aside (
    endpoint_id   uuid NOT NULL,
    instance_id   text NOT NULL,
    seq           bigint NOT NULL,
    attempts      integer NOT NULL,
    due_at        timestamptz NOT NULL,
    claim         bigint NOT NULL DEFAULT 0,
    claimed_by    uuid,
    claimed_until timestamptz,
    PRIMARY KEY (endpoint_id, instance_id, seq),
    FOREIGN KEY (endpoint_id, instance_id) REFERENCES webhook_stream ON DELETE CASCADE
);
CREATE INDEX webhook_aside_due ON webhook_aside (due_at);

-- Events that were given up. They outlive the day of the log they are from, so they hold a copy, sealed as it was.
CREATE TABLE webhook_dead_letter (
    endpoint_id uuid NOT NULL,
    instance_id text NOT NULL,
    seq         bigint NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    chat        bytea,
    content     bytea,
    attempts    integer NOT NULL,
    outcome     text NOT NULL,
    parked_at   timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, instance_id, seq),
    FOREIGN KEY (endpoint_id, instance_id) REFERENCES webhook_stream ON DELETE CASCADE
);
CREATE INDEX webhook_dead_letter_by_age ON webhook_dead_letter (parked_at);
CREATE INDEX webhook_dead_letter_by_chat ON webhook_dead_letter (instance_id, chat);

-- Every attempt, for whoever wonders. It references nothing, because each delivery writes a row; whoever deletes an
-- endpoint or an instance deletes its rows here after its streams, whose rows each delivery locks.
CREATE TABLE webhook_delivery (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id uuid NOT NULL,
    instance_id text,
    -- NULL: a test.
    seq         bigint,
    kind        text NOT NULL,
    attempt     integer NOT NULL,
    outcome     text NOT NULL,
    status      smallint,
    took_ms     integer NOT NULL,
    at          timestamptz NOT NULL
);
CREATE INDEX webhook_delivery_by_endpoint ON webhook_delivery (endpoint_id, id);
CREATE INDEX webhook_delivery_by_instance ON webhook_delivery (instance_id);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (at);
