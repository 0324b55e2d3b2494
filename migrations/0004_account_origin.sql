-- The web origins of an account's own pages: they may call the API from a browser, frame the link page and be returned
-- to from it. Rows are few; every node keeps them in memory.

CREATE TABLE account_origin (
    account_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    origin     text NOT NULL,
    PRIMARY KEY (account_id, origin)
);
