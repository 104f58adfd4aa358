"""What a job will need before it runs: by the arithmetic of its graph, and by what its like took."""
