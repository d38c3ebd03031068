"""Deploy targets."""
