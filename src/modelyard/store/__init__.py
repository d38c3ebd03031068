"""The store: what stages made, by what they were made of; here and on a remote."""
