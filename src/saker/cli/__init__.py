"""The `saker` command, one file per noun; a client of the platform like any other."""
