"""Files over HTTP: upload and download."""
