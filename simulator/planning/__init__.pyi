from .forecast import SnrForecast as SnrForecast
from .forecast import forecast_snr as forecast_snr
from .forecast import magnitude_steps as magnitude_steps
from .forecast import observing_conditions as observing_conditions
