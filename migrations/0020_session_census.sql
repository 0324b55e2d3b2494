-- How many instances of an account stood where, once an hour: what the events of a session say is sealed, and nothing that
-- counts them could read it.
CREATE TABLE session_census (
    account_id uuid        NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    hour       timestamptz NOT NULL,
    status     text        NOT NULL,
    count      integer     NOT NULL CHECK (count > 0),
    PRIMARY KEY (account_id, hour, status)
);
CREATE INDEX session_census_hour ON session_census (hour);
