"""Other layouts: the published HDF5 files, the PFS datamodel, specutils, stores."""
