"""Commands about the installation: ``completion``, ``doctor``, and the versions of all parts."""
