"""What a person sees and types, beside the commands."""
