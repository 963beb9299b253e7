DROP FUNCTION unread(uuid, text, bigint, bigint, integer);
DROP TABLE channel_cursors;
