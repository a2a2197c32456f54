"""What the key of a cell vouches for, and which results are alike; the rule as a whole is in docs/identity.md."""
