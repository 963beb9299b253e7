DROP TABLE channel_floors;
