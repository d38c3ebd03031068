"""What modelyard adds to doit's command line."""
