-- What an instance's WhatsApp client remembers: its device, Signal sessions, keys, mappings. Everything is sealed with
-- the instance's key, and what it is looked up by is a keyed hash: neither a phone number nor a key stands here in clear.

CREATE TABLE engine_state (
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    -- What the row is; the numbers are in the store's `engine_state` module.
    kind        smallint NOT NULL,
    -- What rows are listed or deleted together by (a group, a collection, a person); empty where nothing is.
    scope       bytea NOT NULL,
    key         bytea NOT NULL,
    value       bytea NOT NULL,
    -- Unix seconds that the rows of a kind are cleaned up by; 0 means never.
    stamp       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, kind, scope, key)
);
-- Sealed values are random bytes: trying to compress them costs time and gains nothing.
ALTER TABLE engine_state ALTER COLUMN value SET STORAGE EXTERNAL;
