"""Files: who may upload and read them, and `fileLink`."""
