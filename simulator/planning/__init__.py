"""Planning observations: sources, and the signal-to-noise to expect of them."""

from starsmith.simulator.planning.forecast import (
    SnrForecast,
    forecast_snr,
    magnitude_steps,
    observing_conditions,
)

__all__ = ["SnrForecast", "forecast_snr", "magnitude_steps", "observing_conditions"]
