"""Code as something that counts: what it means, what it stands on, where it is."""
