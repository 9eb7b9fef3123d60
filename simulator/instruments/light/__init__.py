"""What happens to light on its way: atmosphere, sky, aperture, dust, line profile."""
