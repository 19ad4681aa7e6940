"""The report on kernels: tables, fractions of the machine's limit, the roofline."""
