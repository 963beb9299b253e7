"""The log: what an event is, how positions are numbered and compared, how a batch of commands is decided."""
