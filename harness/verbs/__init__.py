"""What the verbs do between the command line and a page. `export` and `report` are packages of their own."""
