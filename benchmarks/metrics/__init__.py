"""How fast metrics are taken in and drawn, and how much room they need, beside MLflow on the same machine."""
