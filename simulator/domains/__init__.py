"""The laboratory: surveys that differ by known amounts, seen through any grid."""
