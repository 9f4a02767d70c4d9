"""What a detector makes of neutrinos: effective areas, directions and energies, from tables to files for analyses."""
