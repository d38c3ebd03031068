"""The built-in Jinja2 templates."""
