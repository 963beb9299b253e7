"""The `tidings` command, one verb a file: parse, wire, run, show progress."""
