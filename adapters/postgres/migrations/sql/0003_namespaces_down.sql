ALTER TABLE organizations DROP COLUMN channel_options;
DROP TABLE channel_namespaces;
