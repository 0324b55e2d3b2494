-- What the nodes on this database prove to each other with that a request was carried by one of them. One row, made by
-- whichever node starts first. It opens nothing by itself: a carried request still needs a valid token.

CREATE TABLE cluster_secret (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret   bytea NOT NULL CHECK (octet_length(secret) = 32)
);
