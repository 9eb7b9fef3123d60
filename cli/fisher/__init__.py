"""Commands of specfisher: ceilings, forecasts, plans."""
