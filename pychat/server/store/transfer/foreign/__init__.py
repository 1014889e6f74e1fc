"""What other chat programs leave, converted into the lines of an export."""
