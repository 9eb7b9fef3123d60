"""What light outside 640-900 nm needs: lines, molecular bands and their tables."""
