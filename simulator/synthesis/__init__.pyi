from .sampling import PHYSICS_VERSION as PHYSICS_VERSION
from .sampling import Sampling as Sampling
from .sampling import wavelength_grid as wavelength_grid
from .synthesis_tables import table_digest as table_digest
from .synthetic_spectrum import Spectrum as Spectrum
from .synthetic_spectrum import synthesize as synthesize
