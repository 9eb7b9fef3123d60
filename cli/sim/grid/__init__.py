"""Commands of ``specsim grid``, a file each."""
