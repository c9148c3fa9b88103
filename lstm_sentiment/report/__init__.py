"""Records in, comparison out: a pure reader of folders."""
