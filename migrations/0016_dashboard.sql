-- Who is signed in to the dashboard, and the codes by which a phone signs in.

-- A cookie is kept as SHA-256. A session reaches as far as the key it came from and not a moment longer: the key's row is
-- asked with it.
CREATE TABLE dashboard_session (
    id         uuid PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    account_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    key_id     uuid NOT NULL REFERENCES api_token (id) ON DELETE CASCADE,
    -- What kind of browser it is in, as "Firefox on Android"; never its whole User-Agent.
    agent      text NOT NULL,
    created_at timestamptz NOT NULL,
    used_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX dashboard_session_by_account ON dashboard_session (account_id, created_at);
CREATE INDEX dashboard_session_by_key ON dashboard_session (key_id);
CREATE INDEX dashboard_session_by_expiry ON dashboard_session (expires_at);

-- What a sign-in QR holds, as SHA-256. It is deleted by whoever redeems it, so it is good for one sign-in.
CREATE TABLE dashboard_pairing (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    account_id uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    key_id     uuid NOT NULL REFERENCES api_token (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX dashboard_pairing_by_key ON dashboard_pairing (key_id);
CREATE INDEX dashboard_pairing_by_expiry ON dashboard_pairing (expires_at);
