"""Reports that compare finished runs; their only input are the folders of runs."""
