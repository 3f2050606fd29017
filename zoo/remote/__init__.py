"""Models from where people keep them: the Hugging Face Hub, and any address."""
