"""Work side by side in threads, waited for only so long."""
