-- Names and rotation of tokens, and when a token or an account last changed: what every node reads each few seconds, by
-- the database's clock, to mend what it remembers of them. A change writes clock_timestamp(), not now(): a statement that
-- waited for another's lock must not write an earlier time than that one did.

ALTER TABLE api_token
    ADD COLUMN name text,
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT clock_timestamp();
CREATE INDEX api_token_by_change ON api_token (changed_at);

ALTER TABLE account ADD COLUMN changed_at timestamptz NOT NULL DEFAULT clock_timestamp();
CREATE INDEX account_by_change ON account (changed_at);

-- Accounts whose instances may still have to be erased.
CREATE INDEX account_deleted ON account (id) WHERE deleted_at IS NOT NULL;
