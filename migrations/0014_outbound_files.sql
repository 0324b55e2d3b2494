-- Which messages wait for a file to be uploaded first: known without opening them.
ALTER TABLE outbound_message ADD COLUMN has_file boolean NOT NULL DEFAULT false;
