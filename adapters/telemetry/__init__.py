"""What the system tells about itself, and the tasks that run in its background."""
