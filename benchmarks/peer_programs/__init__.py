"""The best tools of others for one step each, used as their manuals say; each file runs in a process of its own."""
