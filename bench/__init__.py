"""How fast is it? One question a file, and a load generator that is not what is measured.

`python -m bench` runs against a system that is up and prints one table. The generator counts publications in
the raw bytes of its sockets without decoding them, holds thousands of sockets in one process, and its own
CPU time stands beside everything else's.
"""
