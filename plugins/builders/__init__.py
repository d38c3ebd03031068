"""Built-in image builders."""
