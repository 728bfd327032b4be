"""Pictures of networks, from their graphs."""
