"""Text on screen: graphemes, Markdown, wrapping, fuzzy matching, names."""
