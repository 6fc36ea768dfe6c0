"""Relations of one meaning found among all names, and folded by aliases."""
