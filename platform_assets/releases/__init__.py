"""What a release will change, whom it may reach, and what customers are told of it."""
