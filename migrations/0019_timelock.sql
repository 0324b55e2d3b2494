-- Until when WhatsApp takes no messages to strangers from the account. Only a refusal tells it, so that a restart must not
-- forget it.

ALTER TABLE session ADD COLUMN timelock_until timestamptz;
