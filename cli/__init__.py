"""The commands specsim, speclearn, specfisher and specdata."""
