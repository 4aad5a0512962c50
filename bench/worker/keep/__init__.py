"""Kept weights, with torch: written while a case runs, loaded onto their base again, and merged into it."""
