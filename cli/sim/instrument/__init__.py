"""Commands of ``specsim instrument``, a file each."""
