int luthier_kernels(void) { return 1; }
