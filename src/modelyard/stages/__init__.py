"""What each kind of stage does, in the worker process."""
