"""What is: readers → Sample → Level, on one daemon thread."""
