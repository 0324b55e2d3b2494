-- What later requests need of messages that came in: where a message's file lies and how it is opened, what the answers
-- of a poll are called. One row a message, found by a keyed hash of its id.

CREATE TABLE message_reference (
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('media', 'poll')),
    digest      bytea NOT NULL,
    -- Whose chat, the keyed hash of `event.chat`: what is stored of a contact is erased by it.
    chat        bytea,
    -- Sealed with the instance's key.
    content     bytea NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (instance_id, kind, digest)
);
CREATE INDEX message_reference_by_chat ON message_reference (instance_id, chat);
CREATE INDEX message_reference_by_age ON message_reference (at);
