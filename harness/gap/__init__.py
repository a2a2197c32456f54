"""A stranger's training log beside a row of a table: what differs, and what our own measurements say such things do."""
