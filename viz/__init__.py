"""Pictures: filters, movies, attributions, pages."""
