"""What a guest's Python does: see cases_guest."""
