"""One file a method; its name is the file's, with `_` read as `-`. Each ends in the line that registers it."""
