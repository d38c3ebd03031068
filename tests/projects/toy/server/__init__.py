"""What a real server would be."""
