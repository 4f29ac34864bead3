"""Everything that is drawn with a painter, crisp at any scale: icons, gauge, hypnogram, lines over nights."""
