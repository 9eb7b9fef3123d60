"""Tables and figures of three papers on transfer, of a laboratory's cells or of a user's stars."""
