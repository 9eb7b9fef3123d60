"""What all commands share: options, types, files, figures, tables, progress, errors."""
