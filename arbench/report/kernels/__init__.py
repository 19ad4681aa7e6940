"""What a run of kernels says: tables, fractions of the limit, the roofline."""
