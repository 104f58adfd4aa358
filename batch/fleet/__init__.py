"""One batch on several machines: who gets which job, and Dask as the way there."""
