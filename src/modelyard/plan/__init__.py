"""The plan: which stages there are, and what each reads."""
