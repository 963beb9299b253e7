"""HTTP and sockets of others, or of our own installation seen from outside."""
