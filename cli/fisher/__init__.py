"""Commands of specfisher, a file each."""
