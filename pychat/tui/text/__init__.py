"""Text on screen: graphemes, Markdown, wrapping, names."""
