"""Servers: started as they ship, and what they take."""
