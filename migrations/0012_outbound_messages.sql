-- Messages that were accepted to be sent, and how fast each instance may send.

CREATE TABLE outbound_message (
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    -- WhatsApp's id of the message: drawn when it was accepted, and the same in every attempt to send it.
    id          text NOT NULL,
    -- The order in which an instance's messages are sent. A message that is asked for again gets a new place.
    position    bigint GENERATED ALWAYS AS IDENTITY,
    -- Whose chat, as a keyed hash: what is stored of a contact is erased by it.
    chat        bytea NOT NULL,
    -- Chat and content, sealed with the instance's key.
    sealed      bytea NOT NULL,
    -- No list of the words in a check: a later release may know more of them.
    state       text NOT NULL,
    reason      text,
    created_at  timestamptz NOT NULL,
    -- The moment that the instance's pace gave it.
    due_at      timestamptz NOT NULL,
    -- From then on it is not sent any more.
    expires_at  timestamptz NOT NULL,
    -- When the state last changed: for one that was sent, WhatsApp's own time of it.
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (instance_id, id)
);
-- Sealed values are random bytes: trying to compress them costs time and gains nothing.
ALTER TABLE outbound_message ALTER COLUMN sealed SET STORAGE EXTERNAL;
-- What waits: a handful of rows, whatever the size of the table.
CREATE INDEX outbound_message_waiting ON outbound_message (instance_id, position)
    WHERE state IN ('queued', 'sending');
-- For the pace, whose past is read when an instance first sends on a node.
CREATE INDEX outbound_message_by_due ON outbound_message (instance_id, due_at);
CREATE INDEX outbound_message_by_age ON outbound_message (created_at);

-- Only of instances whose owner chose another pace than the configuration's.
CREATE TABLE send_pace (
    instance_id text PRIMARY KEY REFERENCES instance (id) ON DELETE CASCADE,
    per_minute  integer NOT NULL CHECK (per_minute > 0),
    per_day     integer NOT NULL CHECK (per_day > 0),
    pause_ms    integer NOT NULL CHECK (pause_ms >= 0),
    over        text NOT NULL
);
