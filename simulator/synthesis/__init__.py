"""The small LTE synthesizer behind the demo grid."""
