"""What a speed benchmark of training needs: models of a known shape with random weights, and rows of known lengths."""
