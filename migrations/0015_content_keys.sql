-- A second key for each instance. A logout replaces the first one, so that WhatsApp's keys are shredded; what the account
-- was told of the instance (its events) must stay readable after that, and goes only with the instance. Null until it is
-- first needed. It names the key that wraps it itself: the release before this one rewraps the first key and not this.
ALTER TABLE instance_key
    ADD COLUMN content_kek_id  text REFERENCES vault_canary (kek_id),
    ADD COLUMN content_wrapped bytea,
    ADD CONSTRAINT instance_key_content_is_whole CHECK ((content_kek_id IS NULL) = (content_wrapped IS NULL));
