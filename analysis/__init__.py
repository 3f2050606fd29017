"""Numbers: what filters, layers and recorded play tell."""
