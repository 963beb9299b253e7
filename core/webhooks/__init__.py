"""What leaves the installation by itself: how it is signed."""
