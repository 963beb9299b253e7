"""The server API of Centrifugo under `/api`: its names, bodies and errors, over the same log as `/v1`."""
