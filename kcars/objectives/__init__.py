"""What training minimizes, and by which steps."""
