"""From one embedding space into another: closed-form maps, their ranking and its verification, on arrays alone."""
