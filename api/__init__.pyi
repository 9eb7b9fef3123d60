from . import cli as cli
from . import data_contract as data_contract
from . import fisher as fisher
from . import learners as learners
from . import simulator as simulator
