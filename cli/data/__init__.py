"""Commands of specdata: conversions and figures of data sets."""
