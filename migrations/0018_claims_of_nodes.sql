-- The node on which a request claimed its key: once that node is gone, so is the request, and the claim is void before its
-- time. Without one, as the release before writes it, a claim is void by time alone.
ALTER TABLE idempotency_key ADD COLUMN node uuid;
