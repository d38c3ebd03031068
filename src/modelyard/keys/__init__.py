"""The action key: all that shapes what a stage writes."""
