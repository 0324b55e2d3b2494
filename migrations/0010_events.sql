-- What happened to each instance, numbered without gaps by its lease's event_seq. Rows are only ever added; what is too
-- old goes with its day's partition.

CREATE TABLE event (
    instance_id text NOT NULL,
    seq         bigint NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    -- Whose chat, as a keyed hash: what is stored of a contact is erased by it.
    chat        bytea,
    -- Sealed with the instance's key, as is everything that holds a name, a number or a word of a message; NULL once erased.
    content     bytea,
    PRIMARY KEY (instance_id, seq, at)
) PARTITION BY RANGE (at);
-- For a day whose partition nobody made in time: an event is late to be pruned then, but never lost.
CREATE TABLE event_other PARTITION OF event DEFAULT;

-- Messages that were taken in, as keyed hashes of (chat, sender, id): WhatsApp sends again what it believes we missed.
CREATE TABLE seen_message (
    instance_id text NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    digest      bytea NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (instance_id, digest)
);
CREATE INDEX seen_message_by_age ON seen_message (at);
