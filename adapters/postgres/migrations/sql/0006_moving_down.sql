DROP TABLE server_api_keys;
DROP TABLE server_apis;
DROP TABLE channel_versions;
DROP TABLE channel_floors;
