-- What keeps a session from trying again too soon, so that a restart or another node does not forget it. The defaults
-- are those of a session that has used up nothing.

ALTER TABLE session
    -- Rounds of codes in a row that nobody scanned.
    ADD COLUMN rounds integer NOT NULL DEFAULT 0 CHECK (rounds >= 0),
    -- Until when requests for a code are refused, after too many of them.
    ADD COLUMN refused_until timestamptz,
    -- The one automatic retry after a ban or a replacement is used up.
    ADD COLUMN retried boolean NOT NULL DEFAULT false;
